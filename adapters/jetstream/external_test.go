package jetstream

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"viplog/core/log/logtest"
)

// external runs a nats-server in a process of its own, with users as UsersConfig writes them, and gives its URL.
func external(t *testing.T, config *tls.Config, ca *authority, users []User) string {
	t.Helper()
	folder := t.TempDir()
	binary := filepath.Join(folder, "nats-server")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		t.Fatalf("build a nats-server: %v\n%s", err, out)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	block := func(kind string, raw []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}))
	}
	write("ca.crt", block("CERTIFICATE", ca.certificate.Raw))
	write("tls.crt", block("CERTIFICATE", config.Certificates[0].Certificate[0]))
	write("tls.key", block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(config.Certificates[0].PrivateKey))))
	write("users.conf", UsersConfig(users))
	write("nats.conf", fmt.Sprintf("listen: \"127.0.0.1:-1\"\nports_file_dir: %q\njetstream: {store_dir: %q, sync_interval: always}\n"+
		"tls: {cert_file: %q, key_file: %q, ca_file: %q, verify: true}\ninclude users.conf\n",
		folder, filepath.Join(folder, "store"), filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key"), filepath.Join(folder, "ca.crt")))
	command := exec.Command(binary, "-c", filepath.Join(folder, "nats.conf"))
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	var ports struct{ Nats []string }
	for deadline := time.Now().Add(startPatience); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(filepath.Join(folder, fmt.Sprintf("nats-server_%d.ports", command.Process.Pid)))
		if err == nil && json.Unmarshal(text, &ports) == nil && len(ports.Nats) > 0 {
			return ports.Nats[0]
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not say where it listens: %v", err)
		}
	}
}

// A NATS of somebody else's keeps the log's promises with the users that UsersConfig writes.
func TestContractOnAServerOfItsOwnProcess(t *testing.T) {
	t.Parallel()
	ca, me, admin, node := newAuthority(t), newPerson(t), newPerson(t), newPerson(t)
	url := external(t, ca.config(t), ca, []User{
		{"me", me.key, everything(me.key, "c.test")},
		{"admin\nof a test", admin.key, Permissions{Publish: []string{">"}, Subscribe: []string{">"}}},
		{"node", node.key, NodePermissions("c.test", node.key, nodeA)},
	})
	logtest.Run(t, guarded(me.connect(t, url, ca.config(t)), admin.connect(t, url, ca.config(t)), 1))

	nc := node.connect(t, url, ca.config(t))
	for subject, want := range map[string]bool{
		"viplog.c_test.log.node.10_0_0_2": true, "viplog.c_test.log.node.10_0_0_3": false, "viplog.c_test.feed.node.10_0_0_2": false,
	} {
		if got := mayPublish(t, nc, subject, ""); got != want {
			t.Errorf("a node publishes %s: %t", subject, got)
		}
	}
	if mayPublish(t, admin.connect(t, url, ca.config(t)), "viplog.c_test.feed.x", "") {
		t.Error("who may do everything publishes on the feed")
	}
}
