//! `/faults` at the admin port: GET tells what is set, PUT sets it. Both speak of the services in this process by name:
//! `{"payment": {"latencyMs": 2000, "errorPercent": 30}}`. What a service's object leaves out is off.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};

use super::{Fault, Faults, KINDS};

type Told = BTreeMap<String, Fault>;

/// The path, for `faults` that can be set; none where none can.
pub(crate) fn router(faults: impl Iterator<Item = Faults>) -> Router {
    let faults: Vec<Faults> = faults.filter(|faults| !faults.is_none()).collect();
    if faults.is_empty() {
        return Router::new();
    }
    for switches in faults.iter().filter_map(|faults| faults.0.as_ref()) {
        KINDS.iter().for_each(|fault| switches.counter(fault).increment(0));
    }
    Router::new().route("/faults", get(tell).put(set)).with_state(Arc::from(faults))
}

async fn tell(State(faults): State<Arc<[Faults]>>) -> Json<Told> {
    Json(told(&faults))
}

fn told(faults: &[Faults]) -> Told {
    let named = |one: &Faults| Some((one.0.as_ref()?.service.to_owned(), one.get()));
    faults.iter().filter_map(named).collect()
}

/// Sets all or, where one can't be set, none.
async fn set(
    State(faults): State<Arc<[Faults]>>,
    Json(wanted): Json<Told>,
) -> Result<Json<Told>, (StatusCode, String)> {
    let here = |name: &str| {
        faults.iter().find(|one| one.0.as_ref().is_some_and(|switches| switches.service == name))
    };
    let mut found = vec![];
    for (name, fault) in wanted {
        let Some(service) = here(&name) else {
            let names: Vec<_> = told(&faults).into_keys().collect();
            let message = format!("there is no service {name:?} in this process, but {}\n", names.join(", "));
            return Err((StatusCode::NOT_FOUND, message));
        };
        found.push((service, fault));
    }
    let bad = |refused| (StatusCode::BAD_REQUEST, format!("{refused}\n"));
    found.iter().try_for_each(|(service, fault)| service.judge(fault)).map_err(bad)?;
    found.iter().try_for_each(|(service, fault)| service.set(*fault)).map_err(bad)?;
    Ok(Json(told(&faults)))
}
