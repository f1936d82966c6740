package main

import (
	"bytes"
	"os"

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

// devServices reads the Services to start with: the whole of the folder; or, where no file at all is given and the log
// is fresh, the compiled-in examples, as if an operator had applied them.
func devServices(flags devFlags, fresh bool) (control.Observed, error) {
	if flags.services != "" {
		read, err := manifest.Read([]string{flags.services}, nil)
		return read.Observed(sourceManifests), err
	}
	none := control.Observed{Source: sourceApply, Partial: true}
	if flags.cluster != "" || !fresh {
		return none, nil
	}
	read, err := manifest.Read([]string{"-"}, bytes.NewReader(fixtures.ExampleServices()))
	examples := read.Observed(sourceApply)
	examples.Partial = true
	return examples, err
}
