package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"

	"viplog/adapters/identity"
)

// hostLock keeps two processes from being the same host: by its data, and by the addresses for which a network namespace can
// answer once.
type hostLock struct {
	options  hostOptions
	cluster  string
	logger   *slog.Logger
	file     *os.File
	listener net.Listener
}

func newHostLock(i *identity.Identity, options hostOptions, logger *slog.Logger) *hostLock {
	return &hostLock{options: options, cluster: i.Directory.Cluster, logger: logger}
}

var errRunsAlready = errors.New("viplog runs here already")

func (l *hostLock) start(context.Context) error {
	if err := os.MkdirAll(l.options.data, 0o700); err != nil {
		return err
	}
	path := filepath.Join(l.options.data, "viplog.lock")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		return fmt.Errorf("%w: another process holds %s", errRunsAlready, path)
	}
	l.file = file
	if l.options.roles.node {
		// An abstract socket belongs to the network namespace, and is gone with the process.
		name := "@viplog/" + l.cluster + "/node"
		if l.listener, err = net.Listen("unix", name); err != nil {
			_ = l.stop(context.Background())
			return fmt.Errorf("%w: another node of cluster %s answers in this network namespace: %w", errRunsAlready, l.cluster, err)
		}
	}
	raisePriority(l.logger)
	return nil
}

func (l *hostLock) stop(context.Context) error {
	if l.listener != nil {
		_ = l.listener.Close()
	}
	return l.file.Close()
}

// niceness lets the process run before what else the host does: a lease lasts as long as its renewals are sent in time.
const niceness = -15

// raisePriority raises that of all threads; those made later take it from the one that makes them.
func raisePriority(logger *slog.Logger) {
	threads, err := threadsOfProcess()
	for _, id := range threads {
		if setErr := unix.Setpriority(unix.PRIO_PROCESS, id, niceness); setErr != nil && !errors.Is(setErr, unix.ESRCH) {
			err = setErr
		}
	}
	if err != nil {
		logger.Warn("the scheduling priority is as usual: CAP_SYS_NICE is missing; on a busy host nodes may be taken for dead", "error", err)
	}
}

// threadsOfProcess are the ids of its threads, in its own process namespace, which need not be that of /proc.
func threadsOfProcess() (ids []int, err error) {
	files, err := filepath.Glob("/proc/self/task/*/status")
	for _, file := range files {
		status, readErr := os.ReadFile(file)
		if readErr != nil {
			continue // it has ended
		}
		for line := range strings.Lines(string(status)) {
			all, found := strings.CutPrefix(line, "NSpid:")
			if !found {
				continue
			}
			inner := strings.Fields(all)
			id, parseErr := strconv.Atoi(inner[len(inner)-1])
			if parseErr == nil {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		err = errors.Join(errors.New("/proc/self/task lists no thread"), err)
	}
	return ids, err
}

// notifySystemd says that the process is ready, and again and again that it goes on, where systemd asks for that.
func notifySystemd(ctx context.Context, logger *slog.Logger, goesOn func(context.Context) error) {
	if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
		logger.Warn("systemd cannot be told that viplog is ready", "error", err)
	}
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil || interval == 0 {
		<-ctx.Done()
		return
	}
	interval /= 3 // one that takes its time does not end the process
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		bounded, cancel := context.WithTimeout(ctx, interval)
		if err := goesOn(bounded); err != nil {
			logger.Error("viplog does not go on", "error", err)
		} else {
			_, _ = daemon.SdNotify(false, daemon.SdNotifyWatchdog)
		}
		cancel()
	}
}
