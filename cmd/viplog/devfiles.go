package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"

	"viplog/adapters/jetstream"
	"viplog/adapters/manifest"
	"viplog/core/control"
	"viplog/fixtures"
)

// sourceManifests is the source of Services that come from files.
const sourceManifests = "manifests"

// devClusterFile reads the cluster file, or gives the compiled-in example.
func devClusterFile(path string) (name string, data []byte, err error) {
	if path == "" {
		return fixtures.ExampleClusterName, fixtures.ExampleCluster(), nil
	}
	data, err = os.ReadFile(path)
	return path, data, err
}

// devServices reads the Services: of the folder, or the compiled-in examples where no file at all is given.
func devServices(flags devFlags) (control.Observed, error) {
	if flags.services == "" && flags.cluster != "" {
		return control.Observed{Source: sourceManifests}, nil
	}
	var stdin io.Reader
	path := flags.services
	if path == "" {
		path, stdin = "-", bytes.NewReader(fixtures.ExampleServices())
	}
	read, err := manifest.Read([]string{path}, stdin)
	if err != nil {
		return control.Observed{}, err
	}
	return read.Observed(sourceManifests), nil
}

// serverOptions listens on the usual port of NATS, or a free one if that is taken; with once on none.
func serverOptions(folder string, once bool) jetstream.ServerOptions {
	options := jetstream.ServerOptions{Name: "viplog-dev", Store: filepath.Join(folder, "log")}
	if once {
		return options
	}
	options.Host, options.Port = "127.0.0.1", 4222
	if taken, err := net.Dial("tcp", "127.0.0.1:4222"); err == nil {
		_ = taken.Close()
		options.Port = -1
	}
	return options
}
