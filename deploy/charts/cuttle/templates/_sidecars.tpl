{{- define "cuttle.args.provisioner" -}}
- --worker-threads={{ .Values.sidecars.workers }}
# The claim's and the volume's names are written on the image or directory.
- --extra-create-metadata
{{- if .Values.storageCapacity }}
- --enable-capacity
- --capacity-for-immediate-binding
# Owned by the Deployment: pod, ReplicaSet, Deployment.
- --capacity-ownerref-level=2
{{- end }}
{{- end -}}

{{- define "cuttle.args.attacher" -}}
- --worker-threads={{ .Values.sidecars.workers }}
{{- end -}}

{{- define "cuttle.args.resizer" -}}
- --workers={{ .Values.sidecars.workers }}
# Volumes grow while they are in use.
- --handle-volume-inuse-error=false
{{- end -}}

{{- define "cuttle.args.snapshotter" -}}
- --worker-threads={{ .Values.sidecars.workers }}
- --extra-create-metadata
{{- end -}}
