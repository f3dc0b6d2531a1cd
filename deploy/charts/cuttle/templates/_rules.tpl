{{- /* The driver itself: which nodes there are (docs/configuration.md, nodes). */ -}}
{{- define "cuttle.rules.driver" -}}
- apiGroups: [storage.k8s.io]
  resources: [csinodes]
  verbs: [get, list]
{{- end -}}

{{- define "cuttle.rules.provisioner" -}}
- apiGroups: ['']
  resources: [persistentvolumes]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: ['']
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch, update]
- apiGroups: [storage.k8s.io]
  resources: [storageclasses, volumeattributesclasses]
  verbs: [get, list, watch]
- apiGroups: ['']
  resources: [events]
  verbs: [list, watch, create, update, patch]
# A snapshot of which a volume is being made is kept by a finalizer.
- apiGroups: [snapshot.storage.k8s.io]
  resources: [volumesnapshots]
  verbs: [get, list, watch, update]
- apiGroups: [snapshot.storage.k8s.io]
  resources: [volumesnapshotcontents]
  verbs: [get, list]
{{- if .Values.topology.labels }}
# From where a new volume is to be reached.
- apiGroups: ['']
  resources: [nodes]
  verbs: [get, list, watch]
- apiGroups: [storage.k8s.io]
  resources: [csinodes]
  verbs: [get, list, watch]
{{- end }}
# A volume that is attached is not deleted.
- apiGroups: [storage.k8s.io]
  resources: [volumeattachments]
  verbs: [get, list, watch]
{{- end -}}

{{- define "cuttle.rules.attacher" -}}
- apiGroups: ['']
  resources: [persistentvolumes]
  verbs: [get, list, watch, patch]
- apiGroups: [storage.k8s.io]
  resources: [csinodes]
  verbs: [get, list, watch]
- apiGroups: [storage.k8s.io]
  resources: [volumeattachments]
  verbs: [get, list, watch, patch]
- apiGroups: [storage.k8s.io]
  resources: [volumeattachments/status]
  verbs: [patch]
{{- end -}}

{{- define "cuttle.rules.resizer" -}}
- apiGroups: ['']
  resources: [persistentvolumes]
  verbs: [get, list, watch, patch]
- apiGroups: ['']
  resources: [persistentvolumeclaims]
  verbs: [get, list, watch]
- apiGroups: ['']
  resources: [persistentvolumeclaims/status]
  verbs: [patch]
- apiGroups: ['']
  resources: [events]
  verbs: [list, watch, create, update, patch]
- apiGroups: [storage.k8s.io]
  resources: [volumeattributesclasses]
  verbs: [get, list, watch]
{{- end -}}

{{- define "cuttle.rules.snapshotter" -}}
- apiGroups: ['']
  resources: [events]
  verbs: [list, watch, create, update, patch]
- apiGroups: [snapshot.storage.k8s.io]
  resources: [volumesnapshotclasses]
  verbs: [get, list, watch]
- apiGroups: [snapshot.storage.k8s.io]
  resources: [volumesnapshotcontents]
  verbs: [get, list, watch, update, patch]
- apiGroups: [snapshot.storage.k8s.io]
  resources: [volumesnapshotcontents/status]
  verbs: [update, patch]
{{- end -}}

{{- /* The node's pods: the labels of their own Node. */ -}}
{{- define "cuttle.rules.node" -}}
- apiGroups: ['']
  resources: [nodes]
  verbs: [get]
{{- end -}}
