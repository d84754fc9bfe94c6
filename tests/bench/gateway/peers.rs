//! Other signing reverse proxies, under the same load on the same processor in the same run.
//!
//! Their sources are in `tests/bench/peers`. Each makes the whole signature with its own standard library, without log, metrics or
//! deadlines, and reads the product's own variables. A peer that is not installed is left out.

use std::{env, fs, net::SocketAddr, path::Path, process::Command};

use super::{
    Options,
    child::{Kind, Sidecar},
    key, load, measure_case,
    processor::Signature,
    table::{Row, shown},
    upstream::Upstream,
};

/// The packages of nginx and njs.
const NGINX: &str = "nginx-light libnginx-mod-http-js";
const NGINX_JS: &str = "/usr/lib/nginx/modules/ngx_http_js_module.so";

/// Measures all installed peers, `options.runs` times in turns, and prints a table.
pub fn measure(options: &Options, upstream: &Upstream) {
    let signature = Signature::new(&options.key);
    let case = load::CASES.iter().find(|case| case.name == "post-512-c16").unwrap();
    let mut all = vec![
        (Kind::Signing, "wonder-signer".to_owned(), Vec::<Row>::new()),
        (Kind::Unsigned, "wonder-signer, signing off".to_owned(), Vec::new()),
        (Kind::Bare, Kind::Bare.to_string(), Vec::new()),
    ];
    let peers = [(Kind::Node, "nodejs"), (Kind::Go, "golang-go"), (Kind::Nginx, NGINX), (Kind::Plain, NGINX)];
    for (kind, package) in peers {
        match version(kind) {
            Some(version) => all.push((kind, format!("{kind} ({version})"), Vec::new())),
            None => println!("Left out, as it is not installed: {kind} (apt-get install {package})\n"),
        }
    }
    for run in 1..=options.runs {
        for (kind, name, rows) in &mut all {
            let sidecar = Sidecar::start(*kind, 1, upstream, options);
            // One run as a warm-up, because Node compiles hot functions only after many calls.
            measure_case(options, upstream, &signature, &sidecar, case);
            let row = measure_case(options, upstream, &signature, &sidecar, case);
            eprintln!("run {run} of {}: {name}: {}", options.runs, row.brief());
            assert_eq!(row.failures, 0, "{name} refuses requests");
            rows.push(row);
        }
    }
    println!(
        "| sidecar | requests/s | CPU per request, µs | × bare signature | p50 ms | p99 ms |\n|---|--:|--:|--:|--:|--:|"
    );
    for (_, name, rows) in &all {
        let of = |value: &dyn Fn(&Row) -> f64, digits| shown(rows.iter().map(value).collect(), digits);
        println!(
            "| {name} | {} | {} | {} | {} | {} |",
            of(&|row| row.per_second, 0),
            of(&|row| row.cpu, 1),
            of(&|row| row.cpu / row.signature, 3),
            of(&|row| row.quantiles[0], 2),
            of(&|row| row.quantiles[2], 2),
        );
    }
}

/// The program's own version text, or `None` if it or a dependency is not installed.
fn version(kind: Kind) -> Option<String> {
    let output = match kind {
        Kind::Node => program("node", &["--version"]).output(),
        Kind::Go => program("go", &["version"]).output(),
        _ => fs::metadata(NGINX_JS).and_then(|_| program("nginx", &["-v"]).output()),
    }
    .ok()?;
    let text = String::from_utf8([output.stdout, output.stderr].concat()).ok()?;
    text.split_whitespace().find(|word| word.contains('.')).map(str::to_owned)
}

/// The command that starts a peer with one worker. Its files are in the upstream's directory, which is removed with the upstream.
pub fn command(kind: Kind, address: SocketAddr, upstream: &Upstream, options: &Options) -> Command {
    const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/peers");
    let directory = upstream.directory().to_str().unwrap();
    match kind {
        Kind::Node => program("node", &[&format!("{SOURCE}/node.mjs")]),
        Kind::Go => {
            let built = format!("{directory}/go-peer");
            if !Path::new(&built).exists() {
                let mut go = program("go", &["build", "-o", &built, &format!("{SOURCE}/go/main.go")]);
                go.envs([("GO111MODULE", "off"), ("CGO_ENABLED", "0"), ("GOTOOLCHAIN", "local")]);
                go.env("GOCACHE", format!("{built}-cache")).env("GOPATH", format!("{built}-path"));
                assert!(go.status().unwrap().success(), "the Go peer does not build");
            }
            program(&built, &[])
        }
        _ => {
            let pem = key::pem(&options.key);
            let key: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            fs::write(format!("{directory}/identity.json"), serde_json::json!({ "key": key }).to_string()).unwrap();
            let template = fs::read_to_string(format!("{SOURCE}/nginx.conf.template")).unwrap();
            let of_signing = |line: &str| ["load_module", "js_", "$wonder_"].iter().any(|word| line.contains(word));
            let lines = template.lines().filter(|line| kind == Kind::Nginx || !of_signing(line));
            let text = lines
                .collect::<Vec<_>>()
                .join("\n")
                .replace("{{MODULE}}", NGINX_JS)
                .replace("{{SOURCE}}", SOURCE)
                .replace("{{LISTEN}}", &address.to_string())
                .replace("{{UPSTREAM}}", upstream.origin().trim_start_matches("https://"))
                .replace("{{CA_FILE}}", upstream.ca_file().to_str().unwrap())
                .replace("{{APP_ID}}", key::APP_ID);
            fs::write(format!("{directory}/nginx.conf"), text).unwrap();
            program("nginx", &["-e", "stderr", "-c", "nginx.conf", "-p", directory])
        }
    }
}

/// Looks in `PATH`, then in the system's directory for servers.
fn program(name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(name);
    let path = format!("{}:/usr/sbin", env::var("PATH").unwrap_or_default());
    command.args(arguments).env_clear().env("PATH", path).env("GOMAXPROCS", "1");
    command
}
