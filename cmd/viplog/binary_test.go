//go:build linux

package main

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// builtBinary is that of `task build`.
const builtBinary = "../../bin/viplog"

// An image has this file alone, so it must not need another one.
func TestTheBinaryRunsInAnEmptyRoot(t *testing.T) {
	if _, err := os.Stat(builtBinary); err != nil {
		skipOrFail(t, "bin/viplog is not there: task build makes it")
	}
	if os.Geteuid() != 0 {
		skipOrFail(t, "needs root, to change its root")
	}
	file, err := elf.Open(builtBinary)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("it is not static: it has a segment %s", p.Type)
		}
	}
	root := t.TempDir()
	data, err := os.ReadFile(builtBinary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, "viplog"), data, 0o755); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"version":               "viplog ",
		"manifests --systemd":   "ExecStart=/usr/local/bin/viplog run",
		"dev --once -o json":    `"kind":"Status"`,
		"run --identity /where": "/where/hosts.json: no such file",
	} {
		command := exec.CommandContext(t.Context(), "/viplog", strings.Fields(args)...)
		command.Dir, command.Env = "/", []string{"TMPDIR=/"}
		command.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
		out, err := command.CombinedOutput()
		if !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
}
