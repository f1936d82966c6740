package main

import (
	"fmt"
	"io"
	"strings"

	"viplog/adapters/doctor"
)

// doctorView is what was found on a host, in the order of the checks.
type doctorView struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	Items      []doctor.Finding `json:"items"`
}

// print groups findings by severity, the worst last, where a terminal's reader looks.
func (v doctorView) print(w io.Writer, output string) error {
	if output == "json" || output == "yaml" {
		return printObject(w, output, v)
	}
	var counts []string
	severities := doctor.Severities()
	for i := range severities {
		severity := severities[len(severities)-1-i]
		n := 0
		for _, f := range v.Items {
			if f.Severity != severity {
				continue
			}
			if n++; n == 1 {
				fmt.Fprintf(w, "%s\n", strings.ToUpper(string(severity)))
			}
			writeFinding(w, f)
		}
		if n > 0 {
			fmt.Fprintln(w)
		}
		counts = append(counts, fmt.Sprintf("%s: %d", severity, n))
	}
	_, err := fmt.Fprintln(w, strings.Join(counts, ", "))
	return err
}

// writeFinding writes what was seen, and below it what to do.
func writeFinding(w io.Writer, f doctor.Finding) {
	about := ""
	if f.About != "" {
		about = " (" + f.About + ")"
	}
	fmt.Fprintf(w, "  %s%s: %s\n", f.ID, about, f.Seen)
	if f.Do != "" {
		fmt.Fprintf(w, "      to do: %s\n", f.Do)
	}
}
