//! What a dashboard's body must be: the documented structure (CloudWatch API Reference, "Dashboard Body Structure and
//! Syntax"). The body itself is kept as it was sent.
//!
//! Everything that is wrong is reported at once, each with its path, in the words of AWS's own check.

use serde_json::{Map, Value as Json, json};

use crate::region::wire::ApiError;

/// CloudWatch's quotas of a dashboard: widgets, metrics of one widget and of all (CloudWatch User Guide, "Service quotas").
const WIDGETS_MAX: usize = 500;
const METRICS_OF_WIDGET_MAX: usize = 500;
const METRICS_MAX: usize = 2500;
/// AWS documents no limit; the metrics that a dashboard may have fit in this several times.
const BYTES_MAX: usize = 1024 * 1024;
/// The grid is 24 columns wide, and a widget at most 1,000 rows high.
const COLUMNS: u64 = 24;
const ROWS_MAX: u64 = 1000;
const ALARMS_MAX: usize = 100;
const TYPES: [&str; 8] = ["alarm", "chart", "custom", "explorer", "log", "metric", "text", "trace"];

/// Refuses a body that AWS would refuse.
///
/// # Errors
/// `InvalidParameterInput` with every mistake.
pub fn check(body: &str) -> Result<(), ApiError> {
    let refused = |text: String| Err(ApiError::new("InvalidParameterInput", text));
    if body.len() > BYTES_MAX {
        return refused(format!("The field DashboardBody must not be larger than {BYTES_MAX} bytes."));
    }
    let Ok(Json::Object(fields)) = serde_json::from_str::<Json>(body) else {
        return refused("The field DashboardBody must be a valid JSON object".to_owned());
    };
    let mut check = Check::default();
    check.dashboard(&fields);
    if check.messages.is_empty() {
        return Ok(());
    }
    let (count, list) = (check.messages.len(), Json::Array(check.messages));
    refused(format!("The dashboard body is invalid, there are {count} validation errors: {list:#}"))
}

#[derive(Default)]
struct Check {
    messages: Vec<Json>,
    metrics: usize,
}

impl Check {
    fn wrong(&mut self, path: &str, message: impl Into<String>) {
        self.messages.push(json!({"dataPath": path, "message": message.into()}));
    }

    fn dashboard(&mut self, fields: &Map<String, Json>) {
        if let Some(word) = fields.get("periodOverride")
            && !["auto", "inherit"].contains(&word.as_str().unwrap_or_default())
        {
            self.wrong("/periodOverride", "Should be equal to one of the allowed values");
        }
        for key in ["start", "end"] {
            if fields.get(key).is_some_and(|time| !time.is_string()) {
                self.wrong(&format!("/{key}"), "Should be string");
            }
        }
        match fields.get("widgets") {
            None => self.wrong("", "Should have required property 'widgets'"),
            Some(Json::Array(widgets)) => {
                if widgets.len() > WIDGETS_MAX {
                    self.wrong("/widgets", format!("Should NOT have more than {WIDGETS_MAX} items"));
                }
                for (index, widget) in widgets.iter().take(WIDGETS_MAX).enumerate() {
                    self.widget(&format!("/widgets/{index}"), widget);
                }
            }
            Some(_) => self.wrong("/widgets", "Should be array"),
        }
        if self.metrics > METRICS_MAX {
            self.wrong("/widgets", format!("Should NOT have more than {METRICS_MAX} metrics"));
        }
    }

    fn widget(&mut self, path: &str, widget: &Json) {
        let Json::Object(fields) = widget else {
            return self.wrong(path, "Should be object");
        };
        let bounds = [("x", 0, COLUMNS - 1), ("y", 0, u64::MAX), ("width", 1, COLUMNS), ("height", 1, ROWS_MAX)];
        for (key, least, most) in bounds {
            let Some(value) = fields.get(key) else { continue };
            match value.as_u64() {
                None => self.wrong(&format!("{path}/{key}"), "Should be integer"),
                Some(number) if number < least => self.wrong(&format!("{path}/{key}"), format!("Should be >= {least}")),
                Some(number) if number > most => self.wrong(&format!("{path}/{key}"), format!("Should be <= {most}")),
                Some(_) => {}
            }
        }
        for key in ["type", "properties"] {
            if !fields.contains_key(key) {
                self.wrong(path, format!("Should have required property '{key}'"));
            }
        }
        let kind = fields.get("type").map(|kind| kind.as_str().unwrap_or_default());
        if kind.is_some_and(|kind| !TYPES.contains(&kind)) {
            self.wrong(&format!("{path}/type"), "Should be equal to one of the allowed values");
        }
        let path = format!("{path}/properties");
        match (kind, fields.get("properties")) {
            (_, None) => {}
            (Some("metric"), Some(Json::Object(properties))) => self.metric(&path, properties),
            (Some("text"), Some(Json::Object(properties))) => self.required(&path, properties, "markdown"),
            (Some("alarm"), Some(Json::Object(properties))) => self.alarms(&path, properties),
            (_, Some(Json::Object(_))) => {}
            (_, Some(_)) => self.wrong(&path, "Should be object"),
        }
    }

    fn required(&mut self, path: &str, fields: &Map<String, Json>, key: &str) {
        match fields.get(key) {
            None => self.wrong(path, format!("Should have required property '{key}'")),
            Some(Json::String(_)) => {}
            Some(_) => self.wrong(&format!("{path}/{key}"), "Should be string"),
        }
    }

    /// Its metrics, or the alarm that it annotates.
    fn metric(&mut self, path: &str, properties: &Map<String, Json>) {
        self.required(path, properties, "region");
        let metrics = match properties.get("metrics") {
            None if properties.contains_key("annotations") => return,
            None => return self.wrong(path, "Should have required property 'metrics'"),
            Some(Json::Array(metrics)) => metrics,
            Some(_) => return self.wrong(&format!("{path}/metrics"), "Should be array"),
        };
        if metrics.len() > METRICS_OF_WIDGET_MAX {
            self.wrong(&format!("{path}/metrics"), format!("Should NOT have more than {METRICS_OF_WIDGET_MAX} items"));
        }
        self.metrics += metrics.len();
        for (index, metric) in metrics.iter().take(METRICS_OF_WIDGET_MAX).enumerate() {
            self.row(&format!("{path}/metrics/{index}"), metric);
        }
    }

    /// `[namespace, metric, dimension, value, …, {options}]`, or `[{expression}]`.
    fn row(&mut self, path: &str, metric: &Json) {
        let Json::Array(items) = metric else {
            self.wrong(path, "Should be array");
            let form = "Field \"metrics\" has to be an array of array of strings, with an optional metricRenderer object as last element";
            return self.wrong(path, form);
        };
        let (names, options) = match items.as_slice() {
            [names @ .., Json::Object(options)] => (names, Some(options)),
            names => (names, None),
        };
        if names.is_empty() && options.is_some_and(|options| options.contains_key("expression")) {
            return;
        }
        if names.len() < 2 {
            self.wrong(path, "Should NOT have less than 2 items");
        }
        for (index, _) in names.iter().enumerate().filter(|(_, name)| !name.is_string()) {
            self.wrong(&format!("{path}/{index}"), "Invalid metric field type, only \"String\" type is allowed");
        }
    }

    fn alarms(&mut self, path: &str, properties: &Map<String, Json>) {
        let path = format!("{path}/alarms");
        match properties.get("alarms") {
            None => self.wrong(path.trim_end_matches("/alarms"), "Should have required property 'alarms'"),
            Some(Json::Array(alarms)) if alarms.is_empty() => self.wrong(&path, "Should NOT have less than 1 items"),
            Some(Json::Array(alarms)) if alarms.len() > ALARMS_MAX => {
                self.wrong(&path, format!("Should NOT have more than {ALARMS_MAX} items"));
            }
            Some(Json::Array(_)) => {}
            Some(_) => self.wrong(&path, "Should be array"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The paths and words of what is wrong.
    fn wrong(body: &Json) -> Vec<(String, String)> {
        let Json::Object(fields) = body else { panic!("a body is an object") };
        let mut check = Check::default();
        check.dashboard(fields);
        let text = |message: &Json, key: &str| message[key].as_str().unwrap().to_owned();
        check.messages.iter().map(|message| (text(message, "dataPath"), text(message, "message"))).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(path, message)| ((*path).to_owned(), (*message).to_owned())).collect()
    }

    /// The example of the API Reference.
    fn example() -> Json {
        json!({"start": "-PT6H", "periodOverride": "inherit", "widgets": [
            {"type": "metric", "x": 0, "y": 0, "width": 12, "height": 6, "properties": {
                "metrics": [["AWS/EC2", "CPUUtilization", "InstanceId", "i-012345"]],
                "period": 300, "stat": "Average", "region": "us-east-1", "title": "EC2 Instance CPU",
                "liveData": false, "legend": {"position": "right"}}},
            {"type": "text", "x": 0, "y": 7, "width": 3, "height": 3, "properties": {"markdown": "Hello world"}}]})
    }

    #[test]
    fn the_example_of_the_api_reference_is_valid() {
        assert_eq!(check(&example().to_string()), Ok(()));
        assert_eq!(check(r#"{"widgets": []}"#), Ok(()));
    }

    #[test]
    fn what_is_no_object_or_too_large_is_refused() {
        for body in ["", "[]", "{", "7"] {
            let error = check(body).unwrap_err();
            assert_eq!(error.code, "InvalidParameterInput");
            assert!(error.message.contains("must be a valid JSON object"), "{}", error.message);
        }
        let large = format!(r#"{{"widgets": [], "x": "{}"}}"#, "x".repeat(BYTES_MAX));
        assert!(check(&large).unwrap_err().message.contains("must not be larger"));
    }

    /// Paths and words of AWS's own answers, as pulumi/pulumi#13059 shows them.
    #[test]
    fn metrics_are_arrays_of_texts() {
        let mut body = example();
        body["widgets"][0]["properties"]["metrics"] =
            json!([{"a": 1}, ["AWS/EC2"], ["AWS/EC2", "CPUUtilization", 7], [{"expression": "m1"}]]);
        let form = "Field \"metrics\" has to be an array of array of strings, with an optional metricRenderer object as last element";
        let expected = [
            ("/widgets/0/properties/metrics/0", "Should be array"),
            ("/widgets/0/properties/metrics/0", form),
            ("/widgets/0/properties/metrics/1", "Should NOT have less than 2 items"),
            ("/widgets/0/properties/metrics/2/2", "Invalid metric field type, only \"String\" type is allowed"),
        ];
        assert_eq!(wrong(&body), pairs(&expected));
        let message = check(&body.to_string()).unwrap_err().message;
        assert!(message.starts_with("The dashboard body is invalid, there are 4 validation errors: ["), "{message}");
    }

    #[test]
    fn widgets_stay_on_the_grid_and_have_what_their_type_needs() {
        let widget = |fields: Json| json!({"widgets": [fields]});
        let off = widget(json!({"type": "text", "x": 24, "width": 0, "height": 1001, "y": -1,
            "properties": {"markdown": "x"}}));
        let expected = [
            ("/widgets/0/x", "Should be <= 23"),
            ("/widgets/0/y", "Should be integer"),
            ("/widgets/0/width", "Should be >= 1"),
            ("/widgets/0/height", "Should be <= 1000"),
        ];
        assert_eq!(wrong(&off), pairs(&expected));
        let bare = widget(json!({"type": "metric", "properties": {}}));
        let properties = "/widgets/0/properties";
        let expected = [
            (properties, "Should have required property 'region'"),
            (properties, "Should have required property 'metrics'"),
        ];
        assert_eq!(wrong(&bare), pairs(&expected));
        let alarms = |alarms: Json| widget(json!({"type": "alarm", "properties": {"alarms": alarms}}));
        assert_eq!(wrong(&alarms(json!(["arn"]))), []);
        let path = "/widgets/0/properties/alarms";
        assert_eq!(wrong(&alarms(json!([]))), pairs(&[(path, "Should NOT have less than 1 items")]));
        assert_eq!(wrong(&alarms(json!(vec!["arn"; 101]))), pairs(&[(path, "Should NOT have more than 100 items")]));
        assert_eq!(wrong(&json!({})), pairs(&[("", "Should have required property 'widgets'")]));
    }

    #[test]
    fn a_dashboard_has_at_most_its_quotas() {
        let text = json!({"type": "text", "properties": {"markdown": "x"}});
        let many = json!({"widgets": vec![text; 501]});
        assert_eq!(wrong(&many), pairs(&[("/widgets", "Should NOT have more than 500 items")]));
        let row = json!(["AWS/EC2", "CPUUtilization"]);
        let metric = json!({"type": "metric", "properties": {"region": "us-east-1", "metrics": vec![row; 500]}});
        assert_eq!(wrong(&json!({"widgets": vec![metric.clone(); 5]})), []);
        let over = wrong(&json!({"widgets": vec![metric; 6]}));
        assert_eq!(over, pairs(&[("/widgets", "Should NOT have more than 2500 metrics")]));
    }
}
