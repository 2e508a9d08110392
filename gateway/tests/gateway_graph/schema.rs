//! The schema as a file, for those who look at it before they ask.

#[test]
fn schema_graphql_is_what_the_code_says() {
    let committed = include_str!("../../../schema.graphql");
    assert!(gateway::sdl() == committed, "schema.graphql is out of date: `make sdl` writes it anew");
}

#[test]
fn every_field_argument_type_and_value_is_described() {
    use async_graphql::parser::{
        parse_schema,
        types::{TypeKind, TypeSystemDefinition},
    };
    let mut bare = vec![];
    for definition in parse_schema(gateway::sdl()).unwrap().definitions {
        let TypeSystemDefinition::Type(ty) = definition else { continue };
        let (name, ty) = (ty.node.name.node.clone(), ty.node);
        let roots = ["Query", "Mutation", "Subscription"].contains(&name.as_str());
        if ty.description.is_none() && !roots {
            bare.push(name.to_string());
        }
        match ty.kind {
            TypeKind::Object(object) => {
                for field in object.fields {
                    let arguments =
                        field.node.arguments.iter().filter(|argument| argument.node.description.is_none());
                    bare.extend(
                        arguments
                            .map(|argument| format!("{name}.{}({})", field.node.name, argument.node.name)),
                    );
                    if field.node.description.is_none() {
                        bare.push(format!("{name}.{}", field.node.name));
                    }
                }
            }
            TypeKind::InputObject(input) => {
                let fields = input.fields.iter().filter(|field| field.node.description.is_none());
                bare.extend(fields.map(|field| format!("{name}.{}", field.node.name)));
            }
            TypeKind::Enum(values) => {
                let values = values.values.iter().filter(|value| value.node.description.is_none());
                bare.extend(values.map(|value| format!("{name}.{}", value.node.value)));
            }
            _ => {}
        }
    }
    assert!(bare.is_empty(), "without a description: {bare:?}");
}
