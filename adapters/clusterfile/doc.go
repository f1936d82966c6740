// Package clusterfile reads a GDCV cluster file and viplog's own Settings document, and holds every rule of the two that
// the file alone can decide.
//
// The invariant: Parse returns either a File whose facts event.Encode accepts, or all the problems of the file at once,
// each with its line, the field's path, the value and what would be right. It never panics, whatever the bytes.
//
// Reading has three steps. yaml.go turns bytes into documents: plain trees with line numbers, aliases resolved. The
// readers (cluster.go, nodepool.go, settings.go) turn documents into typed values that remember where they were written.
// The rules (rules_*.go) are pure functions from those values to findings, each named by its number V1 to V11 in the
// reference of GDCV's configuration. Rule V6 (immutable fields) needs the ledger and is decided elsewhere; File.Problem
// places its errors. Rule V11 (the annotation that guards deletion) has nothing to hold while a file is read.
package clusterfile
