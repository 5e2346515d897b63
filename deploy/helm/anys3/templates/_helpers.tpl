{{- define "anys3.probe" -}}
import http.client as h; c = h.HTTPConnection("127.0.0.1", 9000, timeout=4); c.request("GET", "/"); raise SystemExit(c.getresponse().status != 403)
{{- end }}
