package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// asViplog makes the test binary be viplog, so that a test can kill a real process.
const asViplog = "VIPLOG_TEST_AS_VIPLOG"

func TestMain(m *testing.M) {
	if os.Getenv(asViplog) != "" && filepath.Base(os.Args[0]) != "viplog" {
		main()
	}
	testscript.Main(m, map[string]func(){"viplog": main})
}

// A dev cluster is killed at a random moment while Services are applied to it, one after the other. A Service that was
// in a printed status was acknowledged: it must be there in every later life, and no Service's address may change.
func TestDevKilledAtAnyMomentLosesNoAcknowledgedFactAndChangesNoAddress(t *testing.T) {
	folder := t.TempDir()
	addresses := map[string]string{} // acknowledged Services, and their addresses
	applied := 0
	const lives = 15
	for life := range lives {
		process := startKillable(t, filepath.Join(folder, "data"))
		moment := time.Duration(rand.IntN(1200)) * time.Millisecond
		killed := time.AfterFunc(moment, process.kill) // every other life ends while it starts, as often as not
		if life%2 == 1 {
			killed.Reset(time.Minute)
		}
		for started := false; process.expect(t, life, addresses); started = true {
			if life%2 == 1 && !started {
				killed.Reset(moment)
			}
			applied++
			process.apply(writeService(t, folder, applied))
		}
		killed.Stop()
		process.kill()
	}
	if len(addresses) < lives {
		t.Errorf("only %d Services were acknowledged in %d lives: the test saw too little", len(addresses), lives)
	}
	t.Logf("%d lives, %d Services acknowledged, none lost", lives, len(addresses))
}

// killable is a `viplog dev` process.
type killable struct {
	command *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

func startKillable(t *testing.T, data string) *killable {
	t.Helper()
	command := exec.Command(os.Args[0], "dev", "--cluster", "testdata/kill.yaml", "--data", data, "-o", "json")
	command.Env = append(os.Environ(), asViplog+"=1")
	command.Stderr = t.Output()
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	k := &killable{command: command, in: in, out: json.NewDecoder(out)}
	t.Cleanup(func() {
		k.kill()
		_ = command.Wait()
	})
	return k
}

func (k *killable) kill() { _ = k.command.Process.Kill() }

// apply sends the verbs. That the process is gone shows when the status is read.
func (k *killable) apply(path string) { _, _ = fmt.Fprintf(k.in, "apply %s\nstatus\n", path) }

// expect reads one status and holds it to what was acknowledged so far; false if the process is gone.
func (k *killable) expect(t *testing.T, life int, addresses map[string]string) bool {
	t.Helper()
	var status struct {
		Services []struct {
			Name, Owner string
			Addresses   []string
		}
	}
	if err := k.out.Decode(&status); err != nil {
		return false
	}
	now := map[string]string{}
	for _, s := range status.Services {
		now[s.Name] = strings.Join(s.Addresses, ",")
		if s.Owner == "" {
			t.Errorf("life %d: %s has no owner", life, s.Name)
		}
	}
	for name, address := range addresses {
		if now[name] != address {
			t.Fatalf("life %d: acknowledged Service %s had %s, now %q", life, name, address, now[name])
		}
	}
	for name, address := range now {
		addresses[name] = address
	}
	return true
}

func writeService(t *testing.T, folder string, i int) string {
	t.Helper()
	path := filepath.Join(folder, fmt.Sprintf("service-%d.yaml", i))
	text := fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: s%d}\nspec: {type: LoadBalancer, ports: [{port: 80}]}\n", i)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
