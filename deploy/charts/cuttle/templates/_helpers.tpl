{{- /* The release's name, with the chart's unless it is in it. Every object's name begins with it. */ -}}
{{- define "cuttle.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "cuttle.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "cuttle.labels" -}}
{{ include "cuttle.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "cuttle.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "cuttle.keysSecret" -}}
{{ .Values.clusterKeysSecret | default (printf "%s-keys" (include "cuttle.fullname" .)) }}
{{- end -}}

{{- /* The clusters for one role, as the driver's configuration file has them. Call with (dict "root" . "keys" true). */ -}}
{{- define "cuttle.configuration" -}}
{{- $root := .root -}}
{{- $clusters := list -}}
{{- range $cluster := $root.Values.clusters -}}
{{- if and $.keys (or $root.Values.clusterKeysSecret (hasKey $root.Values.clusterKeys $cluster.id)) -}}
{{- $clusters = append $clusters (merge (dict "keyFile" (printf "/etc/cuttle/keys/%s" $cluster.id)) $cluster) -}}
{{- else -}}
{{- $clusters = append $clusters $cluster -}}
{{- end -}}
{{- end -}}
{{ toYaml (dict "clusters" $clusters) }}
{{- end -}}

{{- /* What every container but the node's driver is held to. */ -}}
{{- define "cuttle.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* Arguments of each sidecar of the controller: one of the replicas works. */ -}}
{{- define "cuttle.args.common" -}}
- --csi-address=/csi/csi.sock
- --leader-election
- --leader-election-namespace=$(NAMESPACE)
- --timeout={{ .Values.sidecars.timeout }}
- --v={{ .Values.sidecars.verbosity }}
{{- end -}}
