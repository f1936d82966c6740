package logfile

import (
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"viplog/core/ledger"
)

var update = flag.Bool("update", false, "write the digests of recorded logs that have none yet; those that there are stay")

const recordings = "../../fixtures/logs"

// frozen are the recorded logs and the digests of what they fold to, for ever: there are clusters with such logs. Lines are added here
// and never changed: what would change one is a rule with a new number (fixtures/logs/README.md).
var frozen = map[string]struct{ log, digest string }{
	"recorded": { // rules 0
		"4a8f5e82d1e315d0ae9e78eebe32a18bc1eeaf75e66bc13119cbb921c43d9ca2",
		"de90a52a3084539517ce91e7fbbd6abcd36b90c122b4a144f578f2018e2be56d",
	},
	"rules-1": {
		"8a8f3cafeee30bdc0324a38733bc0110c2903f3acc2000994923a4f3e3645979",
		"d0cd33289ab1bc817384b5b51ce8aa88f420dcb463b5ef86557e08ef25b6dd93",
	},
	"rules-1-failures": {
		"0ff3fa9e7a77b842a9516b5125c84042eb95ce17769dd1d1b29686058ae0e275",
		"d56c11b7f27f8fead540511b3b0ee5622f43f1952540cf8a937d75ff44714b1e",
	},
	"rules-2": {
		"92431f712777a34c47ef03da1031e64eedc858466950fc249dfdd390283995a8",
		"3039bf5d3d977d4df02c36a4593cd861f67d1ee3389de1fe6424dddab837dd3a",
	},
}

// Old logs replay to the same digest for ever, under the rules that they were recorded with.
func TestRecordedLogsReplayToTheirDigests(t *testing.T) {
	paths, err := filepath.Glob(recordings + "/*.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".jsonl")
		t.Run(name, func(t *testing.T) {
			recording, err := ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			digest := recording.Fold().Digest().String()
			if err := written(strings.TrimSuffix(path, ".jsonl")+".digest", digest, *update); err != nil {
				t.Error(err)
			}
			want, isFrozen := frozen[name]
			if !isFrozen {
				t.Fatalf("it is not frozen: add a line for it, with the digest %s", digest)
			}
			seen++
			if digest != want.digest {
				t.Errorf("it folds to %s, and did to %s when it was recorded: what has changed needs new rules", digest, want.digest)
			}
			if data, err := os.ReadFile(path); err != nil || fmt.Sprintf("%x", sha256.Sum256(data)) != want.log {
				t.Errorf("it is not what was recorded: %v", err)
			}
			s := ledger.New(recording.Head.ID)
			for _, e := range recording.Entries {
				for _, c := range s.ApplyEntry(e) {
					if c.Kind == ledger.Rejected {
						t.Errorf("fact %d is rejected: %s", e.Sequence, c.Reason)
					}
				}
			}
		})
	}
	if seen != len(frozen) {
		t.Errorf("of %d frozen logs %d are there", len(frozen), seen)
	}
}

// written holds a digest against the one of a file. One that there is stays; update writes one that there is not.
func written(path, digest string, update bool) error {
	want, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && update:
		return os.WriteFile(path, []byte(digest+"\n"), 0o644)
	case err != nil:
		return err
	case string(want) != digest+"\n":
		return fmt.Errorf("%s holds %s, and the log folds to %s: it is frozen, and -update changes none that there is", path, want, digest)
	}
	return nil
}

func TestUpdateChangesNoDigestThatThereIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new.digest")
	if err := written(path, "aa", false); err == nil {
		t.Error("a digest that is not there is no match")
	}
	if err := written(path, "aa", true); err != nil {
		t.Error(err)
	}
	if err := written(path, "bb", true); err == nil || !strings.Contains(err.Error(), "it is frozen") {
		t.Errorf("another digest: %v", err)
	}
	if err := written(path, "aa", false); err != nil {
		t.Errorf("the first one is there no more: %v", err)
	}
}
