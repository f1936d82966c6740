//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"viplog/adapters/doctor"
	"viplog/core/lease"
	"viplog/fixtures/lab"
)

// doctored runs `viplog doctor` in a host and gives its exit code and what it prints.
func doctored(t *testing.T, h *lab.Host, arguments ...string) (code int, out, wrong string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	none := filepath.Join(t.TempDir(), "none")
	arguments = append([]string{"doctor", "--data", none}, arguments...)
	h.Must(func() error {
		code = run(t.Context(), arguments, streams{strings.NewReader(""), &stdout, &stderr})
		return nil
	})
	return code, stdout.String(), stderr.String()
}

const doctorCluster = `apiVersion: baremetal.cluster.gke.io/v1
kind: Cluster
metadata: {name: blue, namespace: cluster-blue}
spec:
  type: admin
  profile: default
  clusterNetwork:
    pods: {cidrBlocks: [192.168.0.0/16]}
    services: {cidrBlocks: [10.96.0.0/20]}
  controlPlane: {nodePoolSpec: {nodes: [{address: 10.0.0.1}, {address: 10.0.0.2}, {address: 10.0.0.3}]}}
  loadBalancer:
    mode: bundled
    ports: {controlPlaneLBPort: 443}
    vips: {controlPlaneVIP: 10.0.0.100}
---
apiVersion: viplog/v1
kind: Settings
subnets:
- {prefix: 10.0.0.0/24, gateway: 10.0.0.254}
`

func TestDoctorOfAHost(t *testing.T) {
	l := lab.New(t)
	s, h, gateway := l.Switch("switch"), l.Host("node"), l.Gateway("gateway")
	s.Attach(h, "eth0", "10.0.0.1/24")
	s.Attach(gateway, "eth0", "10.0.0.254/24")
	h.Forward()
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(doctorCluster), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, wrong := doctored(t, h, "-f", file, "-o", "json", "--probe-address", "10.0.0.77")
	var view doctorView
	if err := json.Unmarshal([]byte(out), &view); err != nil || wrong != "" || view.Kind != "Doctor" || view.APIVersion != apiVersion ||
		strings.Contains(out, "null") || strings.Count(out, "\n") != 1 {
		t.Fatalf("%v, %d, %s%s", err, code, out, wrong)
	}
	found := map[string]doctor.Finding{}
	for _, f := range view.Items {
		found[f.ID] = f
	}
	for id, about := range map[string]string{
		"ports/vip": "443/tcp", "ports/api-server": "6444/tcp", "ports/monitor": "11010/tcp", "ports/heartbeat": "7947/udp", "ports/nats": "4222/tcp",
		"ports/nats-routes": "6222/tcp", "interface/address": "eth0", "interface/subnet": "eth0", "nic/link": "eth0",
		"gateway/answers": "10.0.0.254", "gateway/follows": "10.0.0.254", "sysctls/interface": "eth0",
	} {
		if f := found[id]; f.Severity != doctor.OK || f.About != about {
			t.Errorf("%s: %+v", id, f)
		}
	}
	if f := found["vrrp/master"]; f.Severity != doctor.Skipped || f.About != "10.0.0.100" {
		t.Errorf("%+v", f)
	}
	if failed := doctor.Failed(view.Items); failed != (code == 1) { // a slow machine may have late timers
		t.Errorf("%d: %s", code, out)
	}

	var taken net.Listener
	h.Must(func() (err error) {
		taken, err = net.Listen("tcp", ":443")
		return err
	})
	defer taken.Close()
	code, out, wrong = doctored(t, h, "-f", file, "--node", "cp-1")
	if code != 1 || wrong != "" || !strings.Contains(out, "ERROR\n  ports/vip (443/tcp): ") || !strings.Contains(out, "which is needed for the control plane's VIP (HAProxy)\n      to do: end that process") ||
		!strings.HasPrefix(out, "OK\n") || !strings.Contains(out, "\nok: ") {
		t.Errorf("%d, %s%s", code, out, wrong)
	}
}

func TestDoctorsMistakesOfUsage(t *testing.T) {
	h := lab.New(t).Host("node")
	manual := filepath.Join(t.TempDir(), "manual.yaml")
	if err := os.WriteFile(manual, []byte(strings.NewReplacer("mode: bundled", "mode: manual").Replace(doctorCluster)), 0o600); err != nil {
		t.Fatal(err)
	}
	const basic = "../../fixtures/clusters/admin-ha.yaml"
	for _, c := range []struct {
		code      int
		says      string
		arguments []string
	}{
		{2, `output "xml"`, []string{"-o", "xml"}},
		{2, `--probe-address "spare"`, []string{"--probe-address", "spare"}},
		{2, `--node "lb-9" is neither`, []string{"-f", basic, "--node", "lb-9"}},
		{2, "unknown command", []string{"now"}},
		{1, "no such file", []string{"-f", "absent.yaml"}},
		{3, "", []string{"-f", manual}},
	} {
		code, out, wrong := doctored(t, h, c.arguments...)
		if code != c.code || out != "" || !strings.Contains(wrong, c.says) || wrong == "" {
			t.Errorf("%q: %d, %s%s", c.arguments, code, out, wrong)
		}
	}
}

func TestDoctorKnowsAHostByItsIdentity(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "identities")
	file := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(file, []byte(doctorCluster), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, wrong bytes.Buffer
	if code := run(t.Context(), []string{"init", "-f", file, "-o", folder, "--operator", "alice"}, streams{strings.NewReader(""), &out, &wrong}); code != 0 {
		t.Fatal(wrong.String())
	}
	flags := doctorFlags{identity: filepath.Join(folder, "hosts", "10.0.0.2"), identityGiven: true}
	facts, err := flags.facts()
	if err != nil || facts.Self.String() != "10.0.0.2" || facts.Cluster != "blue" || facts.Plan != nil || facts.Identity.Problem != nil || facts.Identity.Expires.IsZero() {
		t.Errorf("%+v, %v", facts, err)
	}
	var ports []string
	for _, p := range facts.Ports {
		ports = append(ports, p.ID+" "+p.At.String())
	}
	if got := strings.Join(ports, ", "); got != "heartbeat 10.0.0.2:7947, nats 10.0.0.2:4222, nats-routes 10.0.0.2:6222" {
		t.Error(got)
	}
	flags.identity = filepath.Join(folder, "operators", "alice")
	if facts, err = flags.facts(); err != nil || facts.Identity.Problem == nil || !strings.Contains(facts.Identity.Problem.Error(), "operator alice's") {
		t.Errorf("%+v, %v", facts.Identity, err)
	}
	flags.identity, flags.identityGiven = filepath.Join(folder, "absent"), false
	if facts, err = flags.facts(); err != nil || facts.Identity != nil || facts.Self.IsValid() || len(facts.Ports) != 0 {
		t.Errorf("%+v, %v", facts, err)
	}
	flags.identityGiven = true
	if facts, err = flags.facts(); err != nil || facts.Identity == nil || facts.Identity.Problem == nil {
		t.Errorf("%+v, %v", facts.Identity, err)
	}
}

func TestDoctorTakesWhatTheFileSays(t *testing.T) {
	flags := doctorFlags{file: "../../fixtures/clusters/viplog-settings.yaml", identity: t.TempDir() + "/none", node: "lb-1", probe: "10.0.0.7", monitorPort: 11010}
	facts, err := flags.facts()
	if err != nil || facts.Self.String() != "10.0.0.5" || facts.Cluster != "viplog-settings" || len(facts.Pools) != 2 || len(facts.Nodes) != 5 ||
		facts.Timing != lease.Fast || facts.Probe.String() != "10.0.0.7" || facts.Plan == nil || facts.Plan.RouterID == 0 || len(facts.Plan.Members) != 2 || len(facts.Subnets) == 0 {
		t.Errorf("%+v, %v", facts, err)
	}
	var ports []string
	for _, p := range facts.Ports {
		ports = append(ports, p.ID)
	}
	if got := strings.Join(ports, " "); got != "vip monitor heartbeat" { // no controller, and no API server
		t.Error(got)
	}
	names := flags.nodeNames()
	if !slices.Contains(names, "lb-2") || !slices.Contains(names, "10.0.0.2") {
		t.Errorf("%q", names)
	}
}
