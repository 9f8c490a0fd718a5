{{- define "sluice.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "sluice.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "sluice.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "sluice.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "sluice.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "sluice.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- required "serviceAccount.name is needed when serviceAccount.create is false" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "sluice.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end }}

{{- define "sluice.selector" -}}
app.kubernetes.io/name: {{ include "sluice.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "sluice.labels" -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "sluice.subject" -}}
- kind: ServiceAccount
  name: {{ include "sluice.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}

{{- define "sluice.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "sluice.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* What the release engine reads and writes in the namespaces that it watches: exactly the requests that the code makes. */}}
{{- define "sluice.engineRules" -}}
# Local copies of everything that a decision reads.
- apiGroups: [sluice.dev]
  resources: [canaries, canaryactions, gitsources, metrictemplates, alertproviders]
  verbs: [list, watch]
# The finalizer, and the number of replicas that autoscalers write.
- apiGroups: [sluice.dev]
  resources: [canaries]
  verbs: [patch]
# The hint of a Git host that somebody pushed.
- apiGroups: [sluice.dev]
  resources: [gitsources]
  verbs: [patch]
- apiGroups: [sluice.dev]
  resources: [canaries/status]
  verbs: [update]
- apiGroups: [sluice.dev]
  resources: [canaryactions/status, gitsources/status, metrictemplates/status]
  verbs: [patch]
# Actions that were answered a day ago.
- apiGroups: [sluice.dev]
  resources: [canaryactions]
  verbs: [delete]
# Slots, and the replicas of the target.
- apiGroups: [apps]
  resources: [deployments, daemonsets]
  verbs: [list, watch, create, update, patch, delete]
- apiGroups: [apps]
  resources: [deployments/scale]
  verbs: [patch]
# Revisions are immutable: they are made and removed, never changed.
- apiGroups: [apps]
  resources: [controllerrevisions]
  verbs: [list, watch, create, delete]
- apiGroups: ['']
  resources: [configmaps]
  verbs: [list, watch, create, delete]
- apiGroups: ['']
  resources: [services]
  verbs: [list, watch, create, patch, delete]
- apiGroups: ['']
  resources: [pods]
  verbs: [list, watch, patch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [networking.istio.io]
  resources: [virtualservices, destinationrules]
  verbs: [list, watch, create, update, patch, delete]
# Budgets, ServiceEntries and autoscalers of the target's pods speak of its slots meanwhile.
- apiGroups: [networking.istio.io]
  resources: [serviceentries]
  verbs: [list, watch, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch, create, update, patch, delete]
- apiGroups: [autoscaling]
  resources: [horizontalpodautoscalers]
  verbs: [list, watch, patch]
- apiGroups: [keda.sh]
  resources: [scaledobjects]
  verbs: [list, watch, patch]
- apiGroups: ['']
  resources: [events]
  verbs: [create, patch]
{{- end }}

{{/* What only some types of MetricTemplate need, by the values metrics.*. */}}
{{- define "sluice.metricRules" -}}
{{- with .Values.metrics.externalMetrics }}
# MetricTemplates of type externalmetrics: a metric is a resource there.
- apiGroups: [external.metrics.k8s.io]
  resources: {{ toJson . }}
  verbs: [get, list]
{{- end }}
{{- if .Values.metrics.jobs }}
# MetricTemplates of type job.
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, create]
{{- end }}
{{- end }}
