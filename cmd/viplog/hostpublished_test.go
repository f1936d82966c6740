package main

import (
	"context"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/fx"

	"viplog/adapters/identity"
	"viplog/adapters/jetstream"
)

func TestAControllerSaysUpToWhereStatusesAreWritten(t *testing.T) {
	folder := loneHost(t)
	who, err := identity.Read(folder)
	if err != nil {
		t.Fatal(err)
	}
	type deps struct {
		fx.In
		Log       *hostLog
		Published *hostPublished
	}
	options := hostOptions{roles: hostRoles{controller: true}, hosts: filepath.Join(folder, identity.DirectoryFile), data: t.TempDir()}
	err = withApp(t.Context(), func(_ context.Context, d deps) error {
		within(t, 20*time.Second, "the log's server is there", d.Log.conn.IsConnected)
		heard := make(chan uint64, 100)
		if _, err := jetstream.HearPublished(d.Log.conn, who.Directory.Cluster, func(n uint64) { heard <- n }); err != nil {
			return err
		}
		if err := d.Log.conn.Flush(); err != nil {
			return err
		}
		hears := func(want uint64, most time.Duration) {
			t.Helper()
			select {
			case got := <-heard:
				if got != want {
					t.Errorf("heard %d, want %d", got, want)
				}
			case <-time.After(most):
				t.Errorf("%d is not heard within %v", want, most)
			}
		}
		var number atomic.Uint64
		d.Published.follow(number.Load)
		select {
		case got := <-heard:
			t.Errorf("a controller that writes nothing says %d", got)
		case <-time.After(1200 * time.Millisecond):
		}
		number.Store(5)
		d.Published.rose()
		hears(5, 500*time.Millisecond)
		hears(5, 3*time.Second) // again
		begun := time.Now()
		for n := range uint64(200) {
			number.Store(6 + n)
			d.Published.rose()
			time.Sleep(time.Millisecond)
		}
		most := int(time.Since(begun)/publishedRises) + 2
		count := 0
		for last := uint64(0); last != 205; count++ {
			select {
			case last = <-heard:
			case <-time.After(3 * time.Second):
				t.Fatalf("the last number is not said; %d was", last)
			}
		}
		if count > most {
			t.Errorf("a number that rises all the time is said %d times, and not %d at most", count, most)
		}
		return nil
	}, hostParts(who, options, testLogger(t), streams{}))
	if err != nil {
		t.Fatal(err)
	}
}
