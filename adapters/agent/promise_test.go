package agent

import (
	"log/slog"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"viplog/core/event"
	"viplog/core/lease"
)

func TestAVoterRemembersTheLongestLeaseThatItMayHavePromised(t *testing.T) {
	p := promisesOf(voterFile{Lease: lease.Relaxed.Lease}, 0)
	if p.until < lease.Relaxed.Promised(0) {
		t.Errorf("promises of relaxed end at %d", p.until)
	}
	if got := p.longest(lease.Fast, p.until-1); got != lease.Relaxed.Lease {
		t.Errorf("while they run the file says %s", got)
	}
	if got := p.longest(lease.Fast, p.until); got != lease.Fast.Lease {
		t.Errorf("when they have ended the file says %s", got)
	}
	if got := promisesOf(voterFile{}, 0); got.lease != lease.Relaxed.Lease {
		t.Errorf("of a file that does not say it %s is assumed", got.lease)
	}
}

func TestAVotersFileSaysLongerLeasesBeforeTheyArePromised(t *testing.T) {
	v, err := NewVoter(VoterConfig{Host: Host{Logger: slog.New(slog.DiscardHandler)}, Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	v.file.Lease = lease.Fast.Lease
	if err := v.promiseLonger(t.Context(), lease.Relaxed); err != nil {
		t.Fatal(err)
	}
	var left voterFile
	if err := readDisk(v.path, &left); err != nil || left.Lease != lease.Relaxed.Lease || left.Voter != v.ID() {
		t.Errorf("the file holds %+v, %v", left, err)
	}
}

// Another log's promises may run although the voter has begun with the new one, and stored that: a voter that crashes meanwhile
// starts again as one that comes from another log.
func TestAVoterThatCameFromAnotherLogIsFreshUntilItsPromisesHaveEnded(t *testing.T) {
	c := newCluster(t, event.ProfileFast, 1)
	h := c.hosts[0]
	c.until("a node has joined", 10*time.Second, func() bool { return len(c.state().Live()) == 1 })
	h.kill()
	path := filepath.Join(h.folder, "voter.json")
	var file voterFile
	if err := readDisk(path, &file); err != nil {
		t.Fatal(err)
	}
	file.Log, file.Since, file.Dead, file.Lease = "another", 0, nil, lease.Relaxed.Lease
	if err := writeDisk(path, file); err != nil {
		t.Fatal(err)
	}
	read := func() (file voterFile) {
		if err := readDisk(path, &file); err != nil {
			t.Fatal(err)
		}
		return file
	}
	h.start()
	c.until("it has stored the new log", 5*time.Second, func() bool { return read().Log != "another" })
	if f := read(); !f.Fresh || f.Lease != lease.Relaxed.Lease {
		t.Errorf("it has stored %+v while promises of another log run", f)
	}
	c.until("they have ended", 5*time.Second, func() bool { return !read().Fresh && read().Lease == lease.Fast.Lease })
}

func testHost() *Host {
	return &Host{Address: netip.MustParseAddr("10.0.0.1"), Now: testClock, Logger: slog.New(slog.DiscardHandler), Source: "test"}
}
