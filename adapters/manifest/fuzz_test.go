package manifest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"

	"viplog/core/event"
)

func FuzzRead(f *testing.F) {
	for _, pattern := range []string{"testdata/invalid/*.yaml", "../../fixtures/services/*.yaml", "../../fixtures/services/*/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			f.Fatalf("%s: no files, %v", pattern, err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Add([]byte(`{"apiVersion":"v1","kind":"Service","metadata":{"name":"a"},"spec":{"type":"LoadBalancer","ports":[{"port":80}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		view, err := Read([]string{"-"}, bytes.NewReader(text))
		if err != nil {
			if err.Error() == "" || len(view.Services)+len(view.Endpoints)+len(view.Ignored) > 0 {
				t.Errorf("an error %q beside content", err)
			}
			return
		}
		seen := map[string]bool{}
		for _, s := range view.Services {
			if msgs := append(validation.IsDNS1035Label(s.Name), validation.IsDNS1123Label(s.Namespace)...); len(msgs) > 0 {
				t.Errorf("%q/%q: %q", s.Namespace, s.Name, msgs)
			}
			if key := s.Namespace + "/" + s.Name; seen[key] {
				t.Errorf("%s twice", key)
			} else {
				seen[key] = true
			}
			if len(s.Ports) == 0 {
				t.Errorf("%s has no port", s.Name)
			}
			for i, p := range s.Ports {
				if p.Port == 0 || i > 0 && !less(s.Ports[i-1], p) {
					t.Errorf("%s: ports %v", s.Name, s.Ports)
				}
			}
		}
		for _, e := range view.Endpoints {
			if e.Namespace == "" || e.Service == "" {
				t.Errorf("endpoints of nothing: %+v", e)
			}
		}
	})
}

func less(a, b event.Port) bool {
	return a.Protocol < b.Protocol || a.Protocol == b.Protocol && a.Port < b.Port
}
