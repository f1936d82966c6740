package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"viplog/adapters/jetstream"
	"viplog/adapters/replica"
	"viplog/core/ledger"
	"viplog/core/log"
)

// clientFlags say which cluster's log a command talks to.
type clientFlags struct {
	server  string
	cluster string
}

func (f *clientFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.server, "server", "", "NATS server (default: $NATS_URL, else 127.0.0.1:4222)")
	cmd.Flags().StringVar(&f.cluster, "cluster-name", "", "cluster (default: the only one on the server)")
}

// patience is how long a command waits for the server and for its own fold.
const patience = 30 * time.Second

// client is a connection to a cluster's log.
type client struct {
	conn    *nats.Conn
	log     log.Log
	cluster string
}

func (f *clientFlags) connect(ctx context.Context) (*client, error) {
	url := cmp.Or(f.server, os.Getenv("NATS_URL"), "nats://127.0.0.1:4222")
	conn, err := nats.Connect(url, nats.Name("viplog"), nats.Timeout(5*time.Second))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w; is `viplog dev` or a controller running there?", url, err)
	}
	name, err := f.clusterName(ctx, conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	l, err := jetstream.Open(ctx, conn, jetstream.Options{Cluster: name})
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &client{conn: conn, log: l, cluster: name}, nil
}

func (f *clientFlags) clusterName(ctx context.Context, conn *nats.Conn) (string, error) {
	if f.cluster != "" {
		return f.cluster, nil
	}
	names, err := jetstream.Clusters(ctx, conn)
	switch {
	case err != nil:
		return "", err
	case len(names) == 0:
		return "", fmt.Errorf("there is no viplog cluster on %s", conn.ConnectedUrl())
	case len(names) > 1:
		return "", fmt.Errorf("there are %d clusters (%s): choose one by --cluster-name", len(names), strings.Join(names, ", "))
	}
	return names[0], nil
}

func (c *client) close() { c.conn.Close() }

// withReplica folds the log to its head and calls use, while the replica goes on following.
func (c *client) withReplica(ctx context.Context, source string, notify func(log.Entry, []ledger.Change),
	use func(context.Context, *replica.Replica) error,
) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := replica.Open(ctx, c.log, source, notify)
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- r.Run(run) }()
	defer func() {
		stop()
		<-ended
	}()
	if err := r.CatchUp(ctx); err != nil {
		return err
	}
	return use(ctx, r)
}
