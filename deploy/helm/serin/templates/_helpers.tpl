{{/* Names and labels that the templates share, and what does not fit together. */}}

{{- define "serin.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "serin.fullname" -}}
{{- $name := include "serin.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- .Values.fullnameOverride | default $full | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "serin.selector" -}}
app.kubernetes.io/name: {{ include "serin.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "serin.labels" -}}
{{ include "serin.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "serin.serviceAccount" -}}
{{- $made := ternary (include "serin.fullname" .) "default" .Values.serviceAccount.create }}
{{- .Values.serviceAccount.name | default $made }}
{{- end }}

{{- define "serin.image" -}}
{{- $tag := .Values.image.tag | default .Chart.AppVersion }}
{{- .Values.image.repository }}{{ with .Values.image.digest }}@{{ . }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{- define "serin.port" -}}
{{- dig "server" "port" 8090 .Values.config }}
{{- end }}

{{- define "serin.isFleet" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) }}true{{ end }}
{{- end }}

{{- define "serin.check" -}}
{{- if include "serin.isFleet" . }}
{{- if hasPrefix "sqlite:" (dig "database" "url" "" .Values.config | default "sqlite:") }}
{{- fail "more than one replica (replicas, autoscaling.enabled) need a PostgreSQL: say config.database.url, as values-fleet.yaml does" }}
{{- end }}
{{- if .Values.persistence.enabled }}
{{- fail "more than one replica (replicas, autoscaling.enabled) cannot share a volume: say persistence.enabled=false and an account of a bucket in config.kayenta, as values-fleet.yaml does" }}
{{- end }}
{{- end }}
{{- if has (dig "server" "address" "" .Values.config) (list "127.0.0.1" "::1" "localhost") }}
{{- fail "config.server.address is that of the loop, which ends at the edge of the pod: say 0.0.0.0 or ::" }}
{{- end }}
{{- end }}
