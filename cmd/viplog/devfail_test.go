package main

import (
	"bytes"
	"context"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A fail is a real take-over: each address of the node is dark for about a lease, and the auditors find nothing wrong, or
// the exit code would say so. Nothing goes on after the end.
func TestDevFailMeasuresTheTakeOver(t *testing.T) {
	before := runtime.NumGoroutine()
	var out, errs bytes.Buffer
	verbs := strings.NewReader("fail lb-1\njoin lb-1\n")
	if code := run(context.Background(), []string{"dev", "--data", t.TempDir()}, streams{verbs, &out, &errs}); code != 0 {
		t.Fatalf("exit code %d\n%s", code, &errs)
	}
	moved := regexp.MustCompile(`(?m)^10\.200\.0\.\d+: lb-1 -> lb-[23], dark for (\d+) ms$`).FindAllStringSubmatch(errs.String(), -1)
	if len(moved) != 3 {
		t.Fatalf("%d addresses moved, want the 3 of lb-1\n%s", len(moved), &errs)
	}
	for _, line := range moved {
		if dark, _ := strconv.Atoi(line[1]); dark <= 0 || dark >= 2000 {
			t.Errorf("%s: want more than 0 and less than 2000 ms", line[0])
		}
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// With a voter's host the voter stops too. The last that a majority needs may not.
func TestDevKeepsAMajorityOfVoters(t *testing.T) {
	var out, errs bytes.Buffer
	verbs := strings.NewReader("fail cp-1\nfail lb-2\nfail cp-2\n")
	code := run(context.Background(), []string{"dev", "--data", t.TempDir()}, streams{verbs, &out, &errs})
	if code != 1 || !strings.Contains(errs.String(), "node cp-2: without its voter 1 of 3 would be left") ||
		strings.Count(errs.String(), "lb-2 -> ") != 2 {
		t.Errorf("exit code %d\n%s", code, &errs)
	}
}
