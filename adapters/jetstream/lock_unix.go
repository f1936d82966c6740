//go:build unix

package jetstream

import (
	"os"
	"syscall"
)

// flock takes the file or fails at once. The kernel gives it back when the process ends, however it does.
func flock(f *os.File) error {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
}
