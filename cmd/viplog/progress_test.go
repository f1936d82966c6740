package main

import (
	"bytes"
	"testing"
	"time"
)

func TestProgressIsShownOnceASecondAndCleared(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "folding fact", 1000)
	p.step(256)
	if p.end(); out.Len() > 0 {
		t.Errorf("%q on what is no terminal", out.String())
	}
	p.out, p.next = &out, time.Time{}
	p.step(256)
	p.step(512) // within the second
	p.end()
	if want := "\rfolding fact 256 of 1000 (25 %)\r\033[K"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
