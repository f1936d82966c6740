package logtest_test

import (
	"testing"

	"viplog/core/log/logtest"
)

func TestMemory(t *testing.T) {
	logtest.Run(t, func(*testing.T) logtest.Harness { return logtest.Harness{Log: logtest.NewMemory(nil)} })
}
