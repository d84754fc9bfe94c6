{{/*
The sidecar, an item of the pod's initContainers. It is the first: containers after it find it ready.

    initContainers: {{- include "wonder-signer.container" . | nindent 8 }}
*/}}
{{- define "wonder-signer.container" -}}
{{- $values := required "the dependency wonder-signer must keep its name: remove its alias" (index .Values "wonder-signer") -}}
- name: wonder-signer
  image: {{ include "wonder-signer.image" $values.image }}
  {{- with $values.image.pullPolicy }}
  imagePullPolicy: {{ . }}
  {{- end }}
  # A native sidecar: it starts before the containers of the service, stops after them, and no Job waits for it.
  restartPolicy: Always
  args:
    - run
    - --config
    - /etc/wonder-signer/sidecar.toml
    {{- if $values.config }}
    - --config
    - /etc/wonder-signer/more.toml
    {{- end }}
  {{- if or (ne $values.environment "staging") $values.env $values.webhook.enabled }}
  env:
    {{- if ne $values.environment "staging" }}
    - name: WONDER_SIGNER_UPSTREAM__ENVIRONMENT
      value: {{ $values.environment }}
    {{- end }}
    {{- if eq $values.environment "custom" }}
    - name: WONDER_SIGNER_UPSTREAM__ORIGIN
      value: {{ $values.origin | quote }}
    {{- end }}
    {{- if $values.webhook.enabled }}
    - name: WONDER_SIGNER_WEBHOOK__ADDRESS
      value: "0.0.0.0:{{ $values.webhook.port }}"
    - name: WONDER_SIGNER_WEBHOOK__FORWARD_TO
      value: {{ $values.webhook.forwardTo | quote }}
    - name: WONDER_SIGNER_CREDENTIALS__DEFAULT__WEBHOOK_PUBLIC_KEY_FILE
      value: /var/run/secrets/wonder-signer/webhook_public_key.pem
    {{- end }}
    {{- with $values.env }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  ports:
    - name: wonder-signer
      containerPort: 9090
    {{- if $values.webhook.enabled }}
    - name: webhook
      containerPort: {{ $values.webhook.port }}
    {{- end }}
  # The service starts after this probe has succeeded, so it can send requests from its first line on.
  startupProbe:
    httpGet: { path: /readyz, port: 9090 }
    periodSeconds: 1
    failureThreshold: 30
  # Neither probe depends on Wonder: an outage there must not take the service's pod down or out of rotation.
  readinessProbe:
    httpGet: { path: /readyz, port: 9090 }
    periodSeconds: 5
  livenessProbe:
    httpGet: { path: /livez, port: 9090 }
    periodSeconds: 10
    failureThreshold: 3
    terminationGracePeriodSeconds: 5
  resources:
    {{- toYaml $values.resources | nindent 4 }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    # The key file belongs to group 0, and only that group can read it (mode 0440).
    runAsGroup: 0
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities: { drop: [ALL] }
    seccompProfile: { type: RuntimeDefault }
  volumeMounts:
    - name: wonder-signer-config
      mountPath: /etc/wonder-signer
      readOnly: true
    - name: wonder-signer-key
      mountPath: /var/run/secrets/wonder-signer
      readOnly: true
    # An empty directory replaces the service account's token, so the sidecar has none, whatever the pod's account.
    - name: wonder-signer-no-token
      mountPath: /var/run/secrets/kubernetes.io/serviceaccount
      readOnly: true
    {{- with $values.volumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The full name of an image: repository, tag and digest. */}}
{{- define "wonder-signer.image" -}}
{{ .repository }}:{{ .tag }}{{ with .digest }}@{{ . }}{{ end }}
{{- end }}

{{/*
The labels of a pod with a sidecar, for which the PodMonitor and the NetworkPolicy of deploy/kubernetes look. Optional.

    labels: {{- include "wonder-signer.labels" . | nindent 8 }}
*/}}
{{- define "wonder-signer.labels" -}}
wonder-signer: sidecar
{{- end }}
