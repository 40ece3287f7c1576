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

{{/* The port of config.server.adminAddress, if there is one: /metrics and the probes are there then. */}}
{{- define "serin.adminPort" -}}
{{- regexFind "[0-9]+$" (dig "server" "adminAddress" "" .Values.config | default "") }}
{{- end }}

{{- define "serin.operators" -}}
{{- ternary "admin" "http" (ne (include "serin.adminPort" .) "") }}
{{- end }}

{{- define "serin.scheme" -}}
{{- ternary "HTTPS" "HTTP" (not (empty (dig "server" "tls" "certFile" "" .Values.config))) }}
{{- end }}

{{- define "serin.probe" -}}
httpGet: {path: /health/{{ .path }}, port: {{ include "serin.operators" .root }}
{{- if eq (include "serin.scheme" .root) "HTTPS" }}, scheme: HTTPS{{ end }}}
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
{{- if hasPrefix "127." (dig "server" "adminAddress" "" .Values.config | default "") }}
{{- fail "config.server.adminAddress is that of the loop, where neither the probes nor Prometheus are: say 0.0.0.0:8091" }}
{{- end }}
{{- $tls := dig "server" "tls" dict .Values.config | default dict }}
{{- $asks := $tls.clientCertificates | default (ternary "required" "none" (not (empty $tls.clientCaFile))) }}
{{- if and (eq $asks "required") (not (include "serin.adminPort" .)) }}
{{- fail "config.server.tls requires certificates of clients, and the probes have none: say config.server.adminAddress, as 0.0.0.0:8091" }}
{{- end }}
{{- end }}
