//! Input values against their types, before the first field runs. The GraphQL crate reads an argument when its field's
//! turn comes, and by then the fields before it have run.

use std::collections::HashMap;

use async_graphql::{
    Name, Variables,
    parser::{
        parse_schema,
        types::{
            BaseType, Field, FieldDefinition, InputValueDefinition, ObjectType, OperationDefinition,
            OperationType, Type, TypeKind, TypeSystemDefinition,
        },
    },
};
use async_graphql_value::{ConstValue, Value};
use runtime::Refusal;

use crate::graphql::{DECIMAL_RULE, DateTime, Decimal};

/// The input types of the schema, and the arguments of its root fields.
#[derive(Default)]
pub(crate) struct Inputs {
    types: HashMap<Name, InputType>,
    queries: Arguments,
    mutations: Arguments,
    subscriptions: Arguments,
}

type Arguments = HashMap<Name, Vec<InputValueDefinition>>;

enum InputType {
    Enum(Vec<Name>),
    Object(Vec<InputValueDefinition>),
}

impl Inputs {
    /// Reads them from the schema's own text.
    pub(crate) fn of(sdl: &str) -> Self {
        let document = parse_schema(sdl).expect("the schema writes SDL that its own parser reads");
        let mut inputs = Self::default();
        for definition in document.definitions {
            let TypeSystemDefinition::Type(definition) = definition else { continue };
            let name = definition.node.name.node;
            match definition.node.kind {
                TypeKind::Enum(ty) => {
                    let values = ty.values.into_iter().map(|value| value.node.value.node).collect();
                    inputs.types.insert(name, InputType::Enum(values));
                }
                TypeKind::InputObject(ty) => {
                    let fields = ty.fields.into_iter().map(|field| field.node).collect();
                    inputs.types.insert(name, InputType::Object(fields));
                }
                TypeKind::Object(ty) if name == "Query" => inputs.queries = arguments(ty),
                TypeKind::Object(ty) if name == "Mutation" => inputs.mutations = arguments(ty),
                TypeKind::Object(ty) if name == "Subscription" => inputs.subscriptions = arguments(ty),
                _ => {}
            }
        }
        inputs
    }

    /// Checks that each variable of the operation has a value of its type.
    pub(super) fn check_variables(
        &self,
        operation: &OperationDefinition,
        given: &Variables,
    ) -> Result<(), Refusal> {
        for definition in &operation.variable_definitions {
            let (name, ty) = (&definition.node.name.node, &definition.node.var_type.node);
            let field = Place::of_value(name, self.is_object(ty));
            match given.get(name) {
                Some(value) => self.check(&value.clone().into_value(), ty, &field, &Scope::EMPTY)?,
                None if ty.nullable || definition.node.default_value.is_some() => {}
                None => return Err(field.refuse("is required")),
            }
        }
        Ok(())
    }

    /// Checks a value that stands by itself, as the body of a request of REST does.
    pub(crate) fn check_value(&self, value: &ConstValue, ty: &str) -> Result<(), Refusal> {
        let ty = Type { base: BaseType::Named(Name::new(ty)), nullable: false };
        self.check(&value.clone().into_value(), &ty, &Place::Root, &Scope::EMPTY)
    }

    /// The value of a field of an input object that came as text, as in a URL. What does not read as its type stays text,
    /// and is refused by the check.
    pub(crate) fn read_text(&self, object: &str, field: &str, text: String) -> ConstValue {
        let ty = match self.types.get(object) {
            Some(InputType::Object(fields)) => fields.iter().find(|known| known.name.node == field),
            _ => None,
        };
        let ty = ty.map(|field| &field.ty.node.base);
        let read = match ty {
            Some(BaseType::Named(name)) if name == "Int" => text.parse().ok().map(ConstValue::Number),
            Some(BaseType::Named(name)) if name == "Boolean" => text.parse().ok().map(ConstValue::Boolean),
            _ => None,
        };
        read.unwrap_or(ConstValue::String(text))
    }

    /// Checks the arguments of a root field. One that does not exist is told by the validation.
    pub(super) fn check_arguments(
        &self,
        operation: OperationType,
        field: &Field,
        scope: &Scope<'_>,
    ) -> Result<(), Refusal> {
        let fields = match operation {
            OperationType::Query => &self.queries,
            OperationType::Mutation => &self.mutations,
            OperationType::Subscription => &self.subscriptions,
        };
        let arguments = fields.get(&field.name.node).map(Vec::as_slice).unwrap_or_default();
        arguments.iter().try_for_each(|definition| {
            let place = Place::of_value(&definition.name.node, self.is_object(&definition.ty.node));
            let argument = field.get_argument(&definition.name.node).map(|argument| &argument.node);
            self.check_member(definition, argument, &place, scope)
        })
    }

    /// An argument or a field of an input object, which may be left out.
    fn check_member(
        &self,
        definition: &InputValueDefinition,
        value: Option<&Value>,
        place: &Place<'_>,
        scope: &Scope<'_>,
    ) -> Result<(), Refusal> {
        let given = value.and_then(|value| scope.resolve(value));
        match given {
            Some(Given::Written(value)) => self.check(value, &definition.ty.node, place, scope),
            Some(Given::Variable(value)) => self.check(&value, &definition.ty.node, place, &Scope::EMPTY),
            None if definition.ty.node.nullable || definition.default_value.is_some() => Ok(()),
            None => Err(place.refuse("is required")),
        }
    }

    fn check(&self, value: &Value, ty: &Type, place: &Place<'_>, scope: &Scope<'_>) -> Result<(), Refusal> {
        match (value, &ty.base) {
            (Value::Variable(_), _) => match scope.resolve(value) {
                Some(Given::Variable(value)) => self.check(&value, ty, place, &Scope::EMPTY),
                _ => self.check(&Value::Null, ty, place, scope),
            },
            (Value::Null, _) if ty.nullable => Ok(()),
            (Value::Null, _) => Err(place.refuse("is required")),
            (Value::List(items), BaseType::List(ty)) => items
                .iter()
                .enumerate()
                .try_for_each(|(n, item)| self.check(item, ty, &place.index(n), scope)),
            // One value stands for a list of one.
            (value, BaseType::List(ty)) => self.check(value, ty, place, scope),
            (value, BaseType::Named(name)) => match self.types.get(name) {
                Some(InputType::Object(fields)) => self.check_object(value, fields, place, scope),
                Some(InputType::Enum(values)) => check_enum(value, values, place),
                None => check_scalar(value, name, place),
            },
        }
    }

    fn check_object(
        &self,
        value: &Value,
        fields: &[InputValueDefinition],
        place: &Place<'_>,
        scope: &Scope<'_>,
    ) -> Result<(), Refusal> {
        let Value::Object(members) = value else { return Err(place.refuse("must be an object")) };
        if let Some(unknown) = members.keys().find(|key| fields.iter().all(|field| field.name.node != **key))
        {
            // It was the client who wrote the name, and it is a name: nothing secret, nothing long.
            return Err(place.member(unknown).refuse("is not known"));
        }
        fields.iter().try_for_each(|field| {
            let name = &field.name.node;
            self.check_member(field, members.get(name), &place.member(name), scope)
        })
    }

    fn is_object(&self, ty: &Type) -> bool {
        match &ty.base {
            BaseType::List(_) => false,
            BaseType::Named(name) => matches!(self.types.get(name), Some(InputType::Object(_))),
        }
    }
}

/// The arguments of each of the object's fields.
fn arguments(object: ObjectType) -> Arguments {
    let fields = object.fields.into_iter().map(|field| field.node);
    let arguments =
        |field: &FieldDefinition| field.arguments.iter().map(|argument| argument.node.clone()).collect();
    fields.map(|field| (field.name.node.clone(), arguments(&field))).collect()
}

fn check_enum(value: &Value, values: &[Name], place: &Place<'_>) -> Result<(), Refusal> {
    let known = match value {
        Value::Enum(name) => values.contains(name),
        Value::String(name) => values.iter().any(|value| value.as_str() == name),
        _ => false,
    };
    let names = || values.iter().map(Name::as_str).collect::<Vec<_>>().join(", ");
    if known { Ok(()) } else { Err(place.refuse(&format!("must be one of {}", names()))) }
}

/// As the GraphQL crate reads scalars, so that what passes here passes there.
fn check_scalar(value: &Value, name: &Name, place: &Place<'_>) -> Result<(), Refusal> {
    let constant = || value.clone().into_const().unwrap_or_default();
    let (fits, rule) = match (name.as_str(), value) {
        ("Int", Value::Number(number)) => (
            number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
            "must be a whole number of 32 bits",
        ),
        ("Int", _) => (false, "must be a whole number"),
        ("Float", value) => (matches!(value, Value::Number(_)), "must be a number"),
        ("String", value) => (matches!(value, Value::String(_)), "must be a string"),
        ("Boolean", value) => (matches!(value, Value::Boolean(_)), "must be true or false"),
        ("ID", Value::Number(number)) => (number.is_i64(), "must be a string"),
        ("ID", value) => (matches!(value, Value::String(_)), "must be a string"),
        ("Decimal", _) => (Decimal::read(&constant()).is_some(), DECIMAL_RULE),
        ("DateTime", _) => {
            (DateTime::read(&constant()).is_some(), "must be a time such as \"2026-11-20T15:22:34Z\"")
        }
        // `_Any`, and types that are no input: the validation tells.
        _ => (true, ""),
    };
    if fits { Ok(()) } else { Err(place.refuse(rule)) }
}

/// Where the values of variables come from.
pub(super) struct Scope<'a> {
    operation: Option<&'a OperationDefinition>,
    given: Option<&'a Variables>,
}

enum Given<'a> {
    Written(&'a Value),
    Variable(Value),
}

impl<'a> Scope<'a> {
    /// Inside the value of a variable there are no variables.
    const EMPTY: Self = Self { operation: None, given: None };

    /// The variables of an operation, by the values that the client gave.
    pub(super) fn of(operation: &'a OperationDefinition, given: &'a Variables) -> Self {
        Self { operation: Some(operation), given: Some(given) }
    }

    /// How many elements a list has; a single value stands for a list of one.
    pub(super) fn length(&self, list: &Value) -> usize {
        match self.resolve(list) {
            Some(Given::Written(Value::List(items))) => items.len(),
            Some(Given::Variable(Value::List(items))) => items.len(),
            _ => 1,
        }
    }

    /// The value of a variable, if it is a whole number.
    pub(super) fn integer(&self, name: &Name) -> Option<i64> {
        match self.value(name)? {
            ConstValue::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// The value of a variable, if it is true or false.
    pub(super) fn boolean(&self, name: &Name) -> Option<bool> {
        match self.value(name)? {
            ConstValue::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// What the value stands for; `None` for a variable without a value, which counts as left out.
    fn resolve<'v>(&self, value: &'v Value) -> Option<Given<'v>> {
        let Value::Variable(name) = value else { return Some(Given::Written(value)) };
        Some(Given::Variable(self.value(name)?.clone().into_value()))
    }

    /// The value of a variable: the given one, else the one that its operation has for it.
    fn value(&self, name: &Name) -> Option<&'a ConstValue> {
        let default = || {
            let definitions = &self.operation?.variable_definitions;
            let definition = definitions.iter().find(|definition| definition.node.name.node == *name)?;
            definition.node.default_value.as_ref().map(|value| &value.node)
        };
        self.given.and_then(|given| given.get(name)).or_else(default)
    }
}

/// Where a value stands, as the services name fields too: `items.0.quantity` inside an input object, `id` beside it.
enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Index(&'a Place<'a>, usize),
}

impl<'a> Place<'a> {
    /// The place of an argument or a variable. The name of one that holds an input object is left out.
    fn of_value(name: &'a Name, is_object: bool) -> Self {
        if is_object { Self::Root } else { Self::Member(&Place::Root, name) }
    }

    fn member(&'a self, name: &'a str) -> Self {
        Self::Member(self, name)
    }

    fn index(&'a self, index: usize) -> Self {
        Self::Index(self, index)
    }

    fn path(&self) -> String {
        let (parent, last) = match self {
            Self::Root => return String::new(),
            Self::Member(parent, name) => (parent, (*name).to_owned()),
            Self::Index(parent, index) => (parent, index.to_string()),
        };
        let parent = parent.path();
        if parent.is_empty() { last } else { format!("{parent}.{last}") }
    }

    fn refuse(&self, rule: &str) -> Refusal {
        let path = self.path();
        let field = if path.is_empty() { "input".to_owned() } else { path };
        let reason = if rule == DECIMAL_RULE { "DECIMAL_INVALID" } else { "INPUT_INVALID" };
        Refusal::bad_input(reason, field, rule)
    }
}
