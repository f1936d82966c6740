package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// The model itself is not part of this project. What it approved is: as long as the machines walk the same ways, it would again.
func TestTheMachinesWalkAsTheModelApproved(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", filepath.Base(approved)))
	if err != nil {
		t.Fatal(err)
	}
	var want summary
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	_, got, err := written(walksApproved)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Errorf("the walks are %+v, and the model approved of %+v: hold them against it again (task checker)", got, want)
	}
}
