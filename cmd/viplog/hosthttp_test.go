package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"viplog/adapters/identity"
)

func TestAHostTellsByHTTPThatItIsReady(t *testing.T) {
	folder := loneHost(t)
	elsewhere := filepath.Join(t.TempDir(), "hosts.json") // as a ConfigMap is
	if err := os.Rename(filepath.Join(folder, identity.DirectoryFile), elsewhere); err != nil {
		t.Fatal(err)
	}
	at := net.JoinHostPort("127.0.0.2", freePorts(t, 1, "127.0.0.2")[0])
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan string, 1)
	go func() {
		var said strings.Builder
		args := []string{
			"run", "--identity", folder, "--hosts", elsewhere, "--data", t.TempDir(), "--roles", "controller,voter", "--http", at,
		}
		if code := run(ctx, args, streams{strings.NewReader(""), io.Discard, &said}); code != 0 {
			ended <- said.String()
		}
		close(ended)
	}()
	get := func(path string) string {
		reply, err := http.Get("http://" + at + path)
		if err != nil {
			return ""
		}
		defer reply.Body.Close()
		body, _ := io.ReadAll(reply.Body)
		return reply.Status + " " + string(body)
	}
	within(t, 20*time.Second, "it is ready", func() bool { return get("/readyz") == "200 OK 127.0.0.2 ok\n" })
	if got := get("/healthz"); got != "200 OK 127.0.0.2 ok\n" {
		t.Errorf("it goes on: %s", got)
	}
	cancel()
	if said := <-ended; said != "" {
		t.Error(said)
	}
}
