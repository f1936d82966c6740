// Package core is the root of all that viplog decides: every package below it is pure. Pure means that the same
// arguments give the same results on every host and at every time: no package reads a clock, draws chance, starts a
// goroutine, waits on a channel, does I/O, logs, or computes with floats; time, choice and order come in as arguments,
// and what should happen goes out as values. core knows neither the adapters that carry its values nor the simulator
// that drives it; architecture_test.go holds both rules over the syntax trees.
package core
