//! A secret goes to the cloud, in user data, and nowhere else: not to the terminal, not into a file of ours, not into a tag.

use std::path::Path;

use super::moto::Answer;
use super::rehearsal::Rehearsal;

const STACK: &str = concat!(
    "name: vault\nvariables: {token: {secret: true}, greeting: hello}\nbenchmark: load.yaml\n",
    "clusters:\n  web: {instance_type: t3.micro, instances: 1, user_data: boot.sh}\n"
);
const SCRIPT: &str =
    "#!/bin/bash\nTOKEN='${var.token}'\necho ${var.greeting}\nexec cloudscale workload --port ${cluster.port}\n";
const LOAD: &str = "threads: {A: {steps: [{requests: 20}]}}\n";

struct Vault {
    rehearsal: Rehearsal,
    said: Vec<String>,
}

impl Vault {
    fn new(token: &str) -> Self {
        let mut rehearsal = Rehearsal::of("");
        rehearsal.file("boot.sh", SCRIPT);
        rehearsal.file("load.yaml", LOAD);
        rehearsal.file("token", &format!("{token}\n"));
        rehearsal.stack = rehearsal.file("vault.yaml", STACK);
        Self { rehearsal, said: Vec::new() }
    }

    /// A command with the secret out of the file; all that it says is kept.
    fn run(&mut self, arguments: &[&str]) -> Answer {
        let answer = self.rehearsal.cloudscale(&[&["--var", "token=@token"], arguments].concat());
        self.said.push(format!("{arguments:?}: {}{}", answer.stdout, answer.stderr));
        answer
    }

    /// Every file of ours in the user's folder, and all that was said.
    fn everything(&self) -> Vec<String> {
        let mut all = self.said.clone();
        collect(self.rehearsal.folder(), &mut all);
        all
    }

    /// The user data of the latest version of the launch template, as the cloud has it.
    async fn in_the_cloud(&self) -> String {
        use base64::Engine as _;
        let clients = self.rehearsal.region.clients();
        let templates = clients.ec2.describe_launch_templates().send().await.expect("the region answers");
        let id = templates.launch_templates()[0].launch_template_id().expect("an id");
        let call = clients.ec2.describe_launch_template_versions().launch_template_id(id).versions("$Latest");
        let answer = call.send().await.expect("the region answers");
        let data = answer.launch_template_versions()[0].launch_template_data().and_then(|data| data.user_data());
        let bytes = base64::engine::general_purpose::STANDARD.decode(data.expect("user data")).expect("base64");
        String::from_utf8(bytes).expect("a script")
    }

    /// How many instances' folders hold the new value.
    fn in_instances(&self) -> usize {
        let mut all = Vec::new();
        collect(&self.rehearsal.region.home(), &mut all);
        all.iter().filter(|text| text.contains("/user-data: ") && text.contains("second-s3cr3t")).count()
    }

    async fn tags(&self) -> String {
        let clients = self.rehearsal.region.clients();
        format!("{:?}", clients.ec2.describe_tags().send().await.expect("the region answers"))
    }
}

fn collect(folder: &Path, all: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, all);
        } else if path.file_name().is_none_or(|name| name != "token") {
            let bytes = std::fs::read(&path).expect("a file");
            all.push(format!("{}: {}", path.display(), String::from_utf8_lossy(&bytes)));
        }
    }
}

fn leaks<'a>(all: &'a [String], secrets: &[&str]) -> Vec<&'a String> {
    all.iter().filter(|text| secrets.iter().any(|secret| text.contains(secret))).collect()
}

#[tokio::test]
async fn a_secret_reaches_the_cloud_and_nothing_else() {
    let mut vault = Vault::new("first-s3cr3t");
    let plan = vault.run(&["diff", "-v", "-o", "plan.json"]).ok();
    assert!(plan.stdout.contains("(secret)"), "{}", plan.stdout);
    vault.run(&["diff", "--json"]).ok();
    vault.run(&["diff", "--offline", "-v"]).ok();
    vault.run(&["up", "-v"]).ok();
    assert!(vault.in_the_cloud().await.contains("TOKEN='first-s3cr3t'\n"));
    vault.run(&["bench", "--metrics-timeout", "0s"]).ok();
    vault.run(&["diff", "--exit-code"]).ok();
    // Nothing is rendered here, so nobody needs the secret.
    let status = vault.rehearsal.cloudscale(&["status"]).ok();
    vault.said.push(status.stdout);

    vault.rehearsal.file("token", "second-s3cr3t\n");
    let rotated = vault.run(&["diff", "--exit-code", "-v"]);
    assert_eq!(rotated.code, Some(3), "{}{}", rotated.stdout, rotated.stderr);
    assert!(rotated.stdout.contains("a secret has another value"), "{}", rotated.stdout);
    vault.run(&["diff", "--json"]).ok();
    assert!(rotated.stdout.contains("replaces 1 instance"), "{}", rotated.stdout);
    vault.run(&["up", "-v"]).ok();
    assert!(vault.in_the_cloud().await.contains("TOKEN='second-s3cr3t'\n"));
    assert_eq!(vault.in_instances(), 1, "the instance was replaced by one that has the new value");
    vault.run(&["diff", "--exit-code"]).ok();

    // A script without the secret: what the cloud has is a former one by now, and is not shown either.
    vault.rehearsal.file("boot.sh", &SCRIPT.replace("TOKEN='${var.token}'\n", ""));
    let without = vault.run(&["diff", "-v"]).ok();
    assert!(without.stdout.contains("echo hello"), "{}", without.stdout);
    let (tags, all) = (vault.tags().await, vault.everything());
    assert!(all.iter().any(|text| text.contains("result.json")) && all.iter().any(|text| text.contains("report.html")));
    assert_eq!(leaks(&all, &["first-s3cr3t", "second-s3cr3t"]), Vec::<&String>::new());
    assert!(!tags.contains("s3cr3t"));
    vault.run(&["down"]).ok();
}

#[test]
fn a_secret_comes_from_a_file_or_the_environment_and_never_from_the_command_line() {
    let vault = Vault::new("s3cr3t");
    let region = &vault.rehearsal.region;
    let diff = |more: &[&str], environment: &[(&str, &str)]| {
        let mut command = region.command(&[&["diff", "--json"], more].concat());
        command.arg(&vault.rehearsal.stack).current_dir(vault.rehearsal.folder()).envs(environment.iter().copied());
        Answer::of(&mut command)
    };
    let missing = diff(&[], &[]);
    assert_eq!(missing.code, Some(2));
    assert!(missing.stderr.contains("A secret has no value"), "{}", missing.stderr);
    let open = diff(&["--var", "token=s3cr3t"], &[]);
    assert_eq!(open.code, Some(2));
    assert!(open.stderr.contains("A secret on the command line") && !open.stderr.contains("s3cr3t"), "{}", open.stderr);
    vault.rehearsal.file("values.yaml", "token: s3cr3t\ngreeting: good morning\n");
    let file = diff(&["--var-file", "values.yaml"], &[]).ok();
    assert!(file.stdout.contains("good morning") && !file.stdout.contains("s3cr3t"), "{}", file.stdout);
    let environment = diff(&[], &[("CLOUDSCALE_VAR_token", "s3cr3t")]).ok();
    assert!(environment.stdout.contains("(secret)") && !environment.stdout.contains("s3cr3t"));
}
