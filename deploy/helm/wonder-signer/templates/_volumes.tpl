{{/*
What the sidecar mounts, items of the pod's volumes.

    volumes: {{- include "wonder-signer.volumes" . | nindent 8 }}
*/}}
{{- define "wonder-signer.volumes" -}}
{{- $credentials := index .Values "wonder-signer" "credentials" -}}
- name: wonder-signer-config
  configMap:
    name: {{ include "wonder-signer.configMapName" . }}
- name: wonder-signer-key
  secret:
    secretName: {{ $credentials.secretName }}
    defaultMode: 0440
    items:
      - key: {{ $credentials.appIdKey | quote }}
        path: app_id
      - key: {{ $credentials.privateKeyKey | quote }}
        path: private_key.pem
      {{- with index .Values "wonder-signer" "webhook" }}
      {{- if .enabled }}
      - key: {{ .publicKeyKey | quote }}
        path: webhook_public_key.pem
      {{- end }}
      {{- end }}
- name: wonder-signer-no-token
  emptyDir: { medium: Memory, sizeLimit: 4Ki }
{{- end }}

{{/*
The sidecar's configuration, an object of its own. Put this one line into a template of your chart:

    {{ include "wonder-signer.configMap" . }}
*/}}
{{- define "wonder-signer.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "wonder-signer.configMapName" . }}
  namespace: {{ .Release.Namespace }}
data:
  {{- include "wonder-signer.configuration" . | nindent 2 }}
{{- end }}

{{/* The name has a hash of the content, so that a changed configuration is a rolling restart. */}}
{{- define "wonder-signer.configMapName" -}}
{{ .Release.Name | trunc 40 }}-wonder-signer-{{ include "wonder-signer.configuration" . | sha256sum | trunc 10 }}
{{- end }}

{{/* The files: the chart's own, and what the values add. */}}
{{- define "wonder-signer.configuration" -}}
{{- $chart := index .Subcharts "wonder-signer" -}}
sidecar.toml: |
  {{- $chart.Files.Get "files/sidecar.toml" | nindent 2 }}
{{- with index .Values "wonder-signer" "config" }}
more.toml: |
  {{- . | nindent 2 }}
{{- end }}
{{- end }}
