//! The programs under load: the sidecar, and an nginx for comparison.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    key,
    machine::{last, pin},
};

/// Starts a process on the first processor.
fn on_the_first(command: &mut Command) -> Child {
    pin(0);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    pin(last());
    child
}

pub struct Sidecar {
    pub child: Child,
    pub listen: SocketAddr,
    admin: SocketAddr,
    pub webhook: SocketAddr,
}

impl Sidecar {
    pub fn start(binary: &Path, directory: &Path, server: SocketAddr) -> Self {
        let ready = directory.join("ready.json");
        let _ = fs::remove_file(&ready);
        let origin = format!("http://{server}");
        let child = on_the_first(
            Command::new(binary)
                .arg("run")
                .arg("--ready-file")
                .arg(&ready)
                .env_clear()
                .env("WONDER_SIGNER_LISTEN__ADDRESS", "127.0.0.1:0")
                .env("WONDER_SIGNER_ADMIN__ADDRESS", "127.0.0.1:0")
                .env("WONDER_SIGNER_SHUTDOWN__DRAIN_DELAY", "0s")
                .env("WONDER_SIGNER_UPSTREAM__ENVIRONMENT", "custom")
                .env("WONDER_SIGNER_UPSTREAM__ORIGIN", &origin)
                .env("WONDER_SIGNER_CREDENTIALS__DEFAULT__APP_ID", key::APP_ID)
                .env("WONDER_SIGNER_CREDENTIALS__DEFAULT__PRIVATE_KEY", key::pem("rsa2048-pkcs8"))
                .env("WONDER_SIGNER_WEBHOOK__ADDRESS", "127.0.0.1:0")
                .env("WONDER_SIGNER_WEBHOOK__FORWARD_TO", &origin)
                .env("WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE", directory.join("webhook.pem")),
        );
        let until = Instant::now() + Duration::from_secs(30);
        while !ready.exists() {
            assert!(Instant::now() < until, "the sidecar does not start");
            thread::sleep(Duration::from_millis(5));
        }
        let addresses: serde_json::Value = serde_json::from_slice(&fs::read(&ready).unwrap()).unwrap();
        let [listen, admin, webhook] =
            ["listen", "admin", "webhook"].map(|name| addresses[name].as_str().unwrap().parse().unwrap());
        Self { child, listen, admin, webhook }
    }

    /// How many webhooks were verified, and the seconds that took.
    pub fn verifications(&self) -> (f64, f64) {
        // What the admin listener answers may be a second old.
        thread::sleep(Duration::from_millis(1500));
        let mut stream = TcpStream::connect(self.admin).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let value = |end: &str| {
            let start = format!("wonder_signer_webhook_duration_seconds_{end}{{phase=\"verify\"}} ");
            text.lines().find_map(|line| line.strip_prefix(&start)).map_or(0.0, |value| value.parse().unwrap())
        };
        (value("count"), value("sum"))
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An nginx that only forwards, for comparison.
pub struct Nginx {
    child: Child,
    pub worker: u32,
    pub address: SocketAddr,
}

impl Nginx {
    /// None where it is not installed.
    pub fn start(directory: &Path, application: SocketAddr) -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let configuration = directory.join("nginx.conf");
        let place = directory.display();
        fs::write(
            &configuration,
            format!(
                "daemon off; master_process off; pid {place}/nginx.pid; error_log stderr; events {{}}\nhttp {{ access_log off;\n\
                 client_body_temp_path {place}; proxy_temp_path {place}; fastcgi_temp_path {place}; uwsgi_temp_path {place};\n\
                 scgi_temp_path {place}; upstream application {{ server {application}; keepalive 8; }}\n\
                 server {{ listen {address}; keepalive_requests 1000000; location / {{ proxy_pass http://application;\n\
                 proxy_http_version 1.1; proxy_set_header Connection \"\"; }} }} }}\n"
            ),
        )
        .unwrap();
        let nginx = ["/usr/sbin/nginx", "/usr/bin/nginx"].into_iter().find(|path| Path::new(path).exists())?;
        let child = on_the_first(Command::new(nginx).arg("-c").arg(&configuration));
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < until, "nginx does not start");
            thread::sleep(Duration::from_millis(5));
        }
        Some(Self { worker: child.id(), child, address })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
