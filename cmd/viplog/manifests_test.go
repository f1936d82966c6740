package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"viplog/adapters/clusterfile"
)

const sampleImage = "registry.example.com/viplog:1.0"

// printed are the manifests of a cluster file, and the exit code.
func printed(t *testing.T, file string, more ...string) (string, int) {
	t.Helper()
	id := filepath.Join(t.TempDir(), "id")
	var said strings.Builder
	if code := run(t.Context(), []string{"init", "-f", file, "-o", id}, streams{strings.NewReader(""), io.Discard, &said}); code != 0 {
		return said.String(), code
	}
	var out strings.Builder
	args := append([]string{"manifests", "-f", file, "--identity-dir", id, "--image", sampleImage}, more...)
	code := run(t.Context(), args, streams{strings.NewReader(""), &out, &said})
	if code != 0 {
		t.Errorf("%s: %d: %s", file, code, said.String())
	}
	return out.String(), code
}

// kinds are an empty object for each kind that is printed.
var kinds = map[string]func() metav1.Object{
	"Namespace":           func() metav1.Object { return &corev1.Namespace{} },
	"ServiceAccount":      func() metav1.Object { return &corev1.ServiceAccount{} },
	"ConfigMap":           func() metav1.Object { return &corev1.ConfigMap{} },
	"ClusterRole":         func() metav1.Object { return &rbacv1.ClusterRole{} },
	"ClusterRoleBinding":  func() metav1.Object { return &rbacv1.ClusterRoleBinding{} },
	"Role":                func() metav1.Object { return &rbacv1.Role{} },
	"RoleBinding":         func() metav1.Object { return &rbacv1.RoleBinding{} },
	"DaemonSet":           func() metav1.Object { return &appsv1.DaemonSet{} },
	"PodDisruptionBudget": func() metav1.Object { return &policyv1.PodDisruptionBudget{} },
}

// strictly decodes what was printed, and refuses fields that there are not.
func strictly(t *testing.T, text string) (all []metav1.Object) {
	t.Helper()
	for _, doc := range strings.Split(strings.TrimPrefix(text, "---\n"), "\n---\n") {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal([]byte(doc), &kind); err != nil || kinds[kind.Kind] == nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		object := kinds[kind.Kind]()
		if err := yaml.UnmarshalStrict([]byte(doc), object); err != nil {
			t.Errorf("%v\n%s", err, doc)
		}
		all = append(all, object)
	}
	return all
}

func TestManifestsOfEverySampleAreWhatKubernetesKnows(t *testing.T) {
	for _, options := range [][]string{
		nil,
		{"--keys", "secrets", "--nats", "tls://nats.example.com:4222", "--trust-feed", "--class", "example.com/viplog", "--http", ":8080", "--lbnode-label=false"},
		{"--keepalived-image", "k:1", "--haproxy-image", "h:1", "--frontend-dir", "/srv/front-end", "--monitor-port", "11011", "--image-mirror", "a=b"},
	} {
		samples, err := filepath.Glob("../../fixtures/clusters/*.yaml")
		if err != nil || len(samples) == 0 {
			t.Fatal("no samples: ", err)
		}
		served := 0
		for _, path := range samples {
			text, code := printed(t, path, options...)
			if code == 3 { // viplog does nothing for it
				continue
			}
			served++
			daemonSets := 0
			for _, object := range strictly(t, text) {
				switch object := object.(type) {
				case *appsv1.DaemonSet:
					daemonSets++
					if err := understood(object.Spec.Template.Spec.Containers[0].Args); err != nil {
						t.Fatal(err)
					}
				case *corev1.ConfigMap:
					if file, is := object.Data["cluster.yaml"]; is {
						if _, err := clusterfile.Parse("the ConfigMap", []byte(file)); err != nil {
							t.Error(err)
						}
					}
				}
			}
			if daemonSets == 0 {
				t.Errorf("%s: nothing runs", path)
			}
		}
		if served < 8 {
			t.Errorf("only %d samples are for viplog", served)
		}
	}
}

// understood wants the program to know its own arguments.
func understood(args []string) error {
	cmd, rest, err := newRoot(streams{}).Find(args)
	if err == nil {
		err = cmd.ParseFlags(rest)
	}
	if err != nil || cmd.Name() != "run" {
		return fmt.Errorf("%q: %s, %w", args, cmd.Name(), err)
	}
	return nil
}

var publicKey = regexp.MustCompile(`"key":"U[A-Z2-7]{55}"`)

func TestPrintedManifests(t *testing.T) {
	for name, test := range map[string]struct {
		sample  string
		options []string
	}{
		"load-balancer-nodes": {"hybrid-ha-lb.yaml", nil},
		"front-end":           {"hybrid-ha.yaml", []string{"--keepalived-image", "registry.example.com/keepalived:2.2", "--haproxy-image", "registry.example.com/haproxy:2.8"}},
		"secrets":             {"hybrid-basic.yaml", []string{"--keys", "secrets", "--nats", "tls://nats.example.com:4222", "--class", "example.com/viplog", "--lbnode-label=false"}},
	} {
		t.Run(name, func(t *testing.T) {
			text, _ := printed(t, filepath.Join("../../fixtures/clusters", test.sample), test.options...)
			got := publicKey.ReplaceAllString(text, `"key":"U…"`)
			path := filepath.Join("testdata/manifests", name+".yaml")
			if *update {
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-golden +got):\n%s", path, diff)
			}
		})
	}
}

func TestTheUnitIsOneThatSystemdTakes(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		skipOrFail(t, "needs systemd-analyze")
	}
	for name, options := range map[string][]string{
		"plain":     nil,
		"front end": {"--keepalived-image", "k:1", "--haproxy-image", "h:1", "--nats", "tls://nats.example.com:4222", "--http", ":8080"},
	} {
		var out, said strings.Builder
		if code := run(t.Context(), append([]string{"manifests", "--systemd"}, options...), streams{strings.NewReader(""), &out, &said}); code != 0 {
			t.Fatalf("%s: %d, %s", name, code, said.String())
		}
		for line := range strings.Lines(out.String()) {
			if command, is := strings.CutPrefix(line, "ExecStart="); is && command != "/usr/local/bin/viplog run \\\n" {
				t.Errorf("%s: it runs %s", name, command)
			}
		}
		self, err := os.Executable() // the real one need not be here
		if err != nil {
			t.Fatal(err)
		}
		unit := filepath.Join(t.TempDir(), "viplog.service")
		text := strings.Replace(out.String(), "/usr/local/bin/viplog", self, 1)
		if err := os.WriteFile(unit, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		verify := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "--generators=no", "--recursive-errors=no", unit)
		if said, err := verify.CombinedOutput(); err != nil || len(bytes.TrimSpace(said)) > 0 {
			t.Errorf("%s: %v\n%s\n%s", name, err, said, text)
		}
	}
}

func skipOrFail(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("VIPLOG_REQUIRE") == "all" {
		t.Fatal(why)
	}
	t.Skip("skipped: ", why)
}
