package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

func TestFlagsInAFile(t *testing.T) {
	for name, test := range map[string]struct{ file, want string }{
		"values":          {"data: /srv\nroles: [node, voter]\ntrust-feed: true\n", ""},
		"one of a list":   {"roles: node\n", ""},
		"nothing":         {"", ""},
		"an unknown name": {"rolls: node\n", ":1: \"rolls\" is no flag"},
		"itself":          {"config: other\n", "is no flag"},
		"help":            {"help: true\n", "is no flag"},
		"a name twice":    {"data: /a\nnats: x\ndata: /b\n", ":3: data stands in line 1"},
		"no value":        {"services:\n", "a plain value is needed"},
		"null":            {"services: ~\n", "a plain value is needed"},
		"a list for one":  {"data: [/a, /b]\n", "not a list"},
		"no boolean":      {"trust-feed: yes please\n", "trust-feed: \"yes please\""},
		"a map for one":   {"data: {a: b}\n", "a plain value is needed"},
		"a list of flags": {"- data\n", "flags and their values are needed"},
		"what is no YAML": {"data: [\n", "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "flags.yaml")
			if err := os.WriteFile(path, []byte(test.file), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := newRun(streams{})
			err := readConfig(cmd, path)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestTheCommandLineComesBeforeAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "flags.yaml")
	if err := os.WriteFile(path, []byte("roles: [node, voter]\ndata: /file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := newRun(streams{})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := readConfig(cmd, path); err != nil {
			return err
		}
		if roles, _ := cmd.Flags().GetStringSlice("roles"); strings.Join(roles, " ") != "controller" {
			t.Errorf("roles are %q", roles)
		}
		if data, _ := cmd.Flags().GetString("data"); data != "/file" {
			t.Errorf("data is %q", data)
		}
		return nil
	}
	cmd.SetArgs([]string{"--roles", "controller"})
	if err := cmd.Execute(); err != nil {
		t.Fatal(err)
	}
}

// Whoever is late to say something when the program ends must not bring it down.
func TestALineAfterTheEndOfTheLogIsLost(t *testing.T) {
	var out bytes.Buffer
	w := newLogWriter(&out)
	_, _ = w.Write([]byte("first\n"))
	w.close()
	if n, err := w.Write([]byte("late\n")); n != 5 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	w.close()
	if out.String() != "first\n" {
		t.Errorf("%q was written", out.String())
	}
}

func TestASignalWhileAHostStartsIsNoFailure(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var said strings.Builder
	args := []string{"run", "--identity", loneHost(t), "--data", t.TempDir(), "--roles", "controller,voter"}
	if code := run(ctx, args, streams{strings.NewReader(""), io.Discard, &said}); code != 0 {
		t.Errorf("it ends with %d: %s", code, said.String())
	}
}

func TestAnUnwaitingSocketSends(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"} {
		listener, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Log("not here: ", err)
			continue
		}
		defer listener.Close()
		s, err := unwaiting(listener.(*net.UDPConn))
		if err != nil {
			t.Fatal(err)
		}
		to := listener.LocalAddr().(*net.UDPAddr).AddrPort()
		if to.Addr().IsUnspecified() {
			to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
		}
		if _, err := s.WriteToUDPAddrPort([]byte("hello"), to); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		var b [16]byte
		_ = listener.SetReadDeadline(time.Now().Add(time.Second))
		if n, _, err := listener.ReadFrom(b[:]); err != nil || string(b[:n]) != "hello" {
			t.Errorf("%s: %q, %v", at, b[:n], err)
		}
	}
}
