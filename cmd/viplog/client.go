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
	"github.com/synadia-io/orbit.go/natscontext"
	"go.uber.org/fx"

	"viplog/adapters/identity"
	"viplog/adapters/jetstream"
	"viplog/adapters/replica"
	"viplog/core/ledger"
	"viplog/core/log"
)

// clientFlags say which cluster's log a command talks to.
type clientFlags struct {
	server   string
	context  string
	identity string
	cluster  string
}

func (f *clientFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.server, "server", "", "NATS server (default: the identity's, else $NATS_URL, else the NATS context, else 127.0.0.1:4222)")
	cmd.Flags().StringVar(&f.context, "context", "", "NATS context: server and credentials (default: the selected one)")
	cmd.Flags().StringVar(&f.identity, "identity", "", "an operator's folder, as `viplog init` made it: servers and credentials (default: $VIPLOG_IDENTITY)")
	cmd.Flags().StringVar(&f.cluster, "cluster-name", "", "cluster (default: the identity's, else the only one on the server)")
	_ = cmd.MarkFlagDirname("identity")
	_ = cmd.RegisterFlagCompletionFunc("cluster-name", f.completeClusters)
}

// patience is how long a command waits for the server and for its own fold.
const patience = 30 * time.Second

// client is a connection to a cluster's log.
type client struct {
	flags   clientFlags
	conn    *nats.Conn
	log     log.Log
	cluster string
}

func newClient(flags clientFlags) *client { return &client{flags: flags} }

func (c *client) start(ctx context.Context) (err error) {
	if c.conn, err = c.flags.dial(); err != nil {
		return err
	}
	if c.cluster, err = c.flags.clusterName(ctx, c.conn); err == nil {
		c.log, err = jetstream.Open(ctx, c.conn, jetstream.Options{Cluster: c.cluster})
	}
	if err != nil {
		c.conn.Close()
	}
	return err
}

// dial goes to the server that the flags name, with the identity if there is one; else to that of $NATS_URL or of the NATS
// context, as the nats command does.
func (f clientFlags) dial() (conn *nats.Conn, err error) {
	options := []nats.Option{nats.Name("viplog"), nats.Timeout(5 * time.Second)}
	who, err := f.who()
	if err != nil {
		return nil, err
	}
	where := cmp.Or(f.server, os.Getenv("NATS_URL"))
	switch {
	case who != nil:
		where = cmp.Or(f.server, strings.Join(who.Servers(), ","))
		conn, err = nats.Connect(where, append(options, who.NATSOptions()...)...)
	case where != "" && f.context == "":
		conn, err = nats.Connect(where, options...)
	default:
		where = cmp.Or(f.context, "the selected NATS context, or "+nats.DefaultURL)
		conn, _, err = natscontext.Connect(f.context, options...)
	}
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w; is `viplog dev` or a controller running there?", where, err)
	}
	return conn, nil
}

// who is the identity to use; nil for none.
func (f clientFlags) who() (*identity.Identity, error) {
	folder := cmp.Or(f.identity, os.Getenv("VIPLOG_IDENTITY"))
	if folder == "" {
		return nil, nil
	}
	return identity.Read(folder)
}

func (c *client) stop(context.Context) error {
	c.conn.Close()
	return nil
}

// clientParts are the parts of every command that talks to a running cluster.
func clientParts(flags clientFlags) fx.Option {
	return fx.Options(fx.Supply(flags), part[*client]("client", newClient))
}

// withClient runs a command that talks to a running cluster.
func withClient(ctx context.Context, flags clientFlags, use func(context.Context, *client) error) error {
	type deps struct {
		fx.In
		Client *client
	}
	err := withApp(ctx, func(ctx context.Context, d deps) error { return use(ctx, d.Client) }, clientParts(flags))
	if err != nil {
		return asFailure(err)
	}
	return nil
}

func (f clientFlags) clusterName(ctx context.Context, conn *nats.Conn) (string, error) {
	if f.cluster != "" {
		return f.cluster, nil
	}
	if who, err := f.who(); who != nil && err == nil {
		return who.Directory.Cluster, nil
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

// withReplica folds the log to its head and calls use, while the replica goes on following.
func (c *client) withReplica(ctx context.Context, source string, notify func(log.Entry, []ledger.Change),
	use func(context.Context, *replica.Replica) error,
) error {
	ready, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := replica.Open(ready, c.log, source, notify)
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
	if err := r.CatchUp(ready); err != nil {
		return err
	}
	return use(ctx, r)
}
