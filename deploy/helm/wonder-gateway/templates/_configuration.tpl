{{/* The files of the ConfigMap: gateway.toml from the values, and what `config` adds. */}}
{{- define "wonder-gateway.configuration" -}}
{{- $service := include "wonder-gateway.fullname" . -}}
{{- $hosts := list $service (printf "%s.%s" $service .Release.Namespace) (printf "%s.%s.svc" $service .Release.Namespace) -}}
{{- $hosts = append $hosts (printf "%s.%s.svc.%s" $service .Release.Namespace .Values.clusterDomain) -}}
{{- if and (not .Values.callers) (not .Values.anyCaller) -}}
{{- fail "callers: name one caller at least, by the first DNS name or URI of its certificate, or set anyCaller to true" -}}
{{- end -}}
{{- if and .Values.callers .Values.anyCaller -}}
{{- fail "anyCaller: true admits every caller, so callers must be empty" -}}
{{- end -}}
gateway.toml: |
  [listen]
  address = "0.0.0.0:8443"
  # The names that callers use: the Service and its namespace.
  allowed_hosts = {{ concat $hosts .Values.extraHosts | toJson }}
  # Other pods must reach the gateway. [listen.tls] and the NetworkPolicy decide which may.
  dangerous_allow_non_loopback = true

  [listen.tls]
  certificate_file = "/var/run/secrets/wonder-gateway/tls.crt"
  key_file = "/var/run/secrets/wonder-gateway/tls.key"
  client_ca_file = "/var/run/secrets/wonder-gateway/ca.crt"
  callers = {{ .Values.callers | toJson }}

  [admin]
  # The kubelet's probes and Prometheus connect from outside the pod. This listener shows no secret and changes no state.
  address = "0.0.0.0:9090"

  [credentials.default]
  app_id_file = "/var/run/secrets/wonder-signer/app_id"
  private_key_file = "/var/run/secrets/wonder-signer/private_key.pem"

  [limits]
  buffered = {{ .Values.limits.buffered | quote }}
  connections = {{ int .Values.limits.connections }}

  [shutdown]
  # Both are part of terminationGracePeriodSeconds.
  drain_delay = "{{ int .Values.shutdown.drainDelay }}s"
  grace = "{{ int .Values.shutdown.grace }}s"

  [log]
  format = "json"
{{- with .Values.config }}
more.toml: |
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The name has a hash of the content, so that a changed configuration is a rolling restart. */}}
{{- define "wonder-gateway.configMapName" -}}
{{ include "wonder-gateway.fullname" . }}-{{ include "wonder-gateway.configuration" . | sha256sum | trunc 10 }}
{{- end }}
