package main

import (
	"context"
	"errors"
	"time"

	"go.uber.org/dig"
	"go.uber.org/fx"
)

// stopPatience bounds how long the parts of a command may take to stop.
const stopPatience = 15 * time.Second

// withApp wires a command's parts, starts them in the order of their needs, runs use with those that it asks for (a
// struct that embeds fx.In), and stops them in reverse, also when starting one of them failed. Parts do their work in
// hooks, not in constructors, so that whatever was started is stopped.
func withApp[D any](ctx context.Context, use func(context.Context, D) error, parts ...fx.Option) error {
	var deps D
	app := fx.New(fx.NopLogger, fx.Options(parts...), fx.Populate(&deps))
	if err := app.Err(); err != nil {
		return dig.RootCause(err)
	}
	if err := app.Start(ctx); err != nil { // what had started is stopped by it
		return err
	}
	err := use(ctx, deps)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	return errors.Join(err, app.Stop(stop))
}

// runner is a part that starts and stops with the app. A start that fails leaves nothing behind.
type runner interface {
	start(ctx context.Context) error
	stop(ctx context.Context) error
}

// part makes a module of one constructor. Its hooks run in the order in which parts need each other.
func part[R runner](name string, constructor any) fx.Option {
	return fx.Module(name, fx.Provide(fx.Annotate(constructor,
		fx.OnStart(func(ctx context.Context, r R) error { return r.start(ctx) }),
		fx.OnStop(func(ctx context.Context, r R) error { return r.stop(ctx) }),
	)))
}
