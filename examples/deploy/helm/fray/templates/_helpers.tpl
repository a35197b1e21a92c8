{{- define "fray.name" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* What never changes of an object: selectors are made of it. Takes a list: the context, and the component. */}}
{{- define "fray.selector" -}}
app.kubernetes.io/name: {{ (index . 0).Chart.Name }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- if index . 1 }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}
{{- end }}

{{- define "fray.labels" -}}
{{ include "fray.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end }}

{{- define "fray.scheme" -}}
{{ ternary "https" "http" (ne .Values.tls.secretName "") }}
{{- end }}

{{/*
All controllers, each by its own name. A Service with one address for several would lead to one that stands by and answers
only where the leader is; a client that knows one address does not go there.
*/}}
{{- define "fray.addresses" -}}
{{- $all := list -}}
{{- range $i := until (int .Values.controllers.replicas) -}}
{{- $all = append $all (printf "%s://%s-controllers-%d.%s-controllers.%s.svc:7070" (include "fray.scheme" $) (include "fray.name" $) $i (include "fray.name" $) $.Release.Namespace) -}}
{{- end -}}
{{- join "," $all -}}
{{- end }}

{{/* The "restricted" profile of the Pod Security Standards. */}}
{{- define "fray.podSecurity" -}}
automountServiceAccountToken: false
# A Service named fray would give variables that begin like Fray's own.
enableServiceLinks: false
serviceAccountName: {{ include "fray.name" . }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # So that the user can read secrets, and write to volumes.
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "fray.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "fray.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "fray.credentials" -}}
- name: auth
  secret:
    secretName: {{ .Values.auth.secretName }}
    defaultMode: 0440
    items: [{key: {{ .Values.auth.key }}, path: token}]
{{- end }}
