package engine

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// A gate that accepts and says nothing holds nobody longer than who asks wants to wait.
func TestGateThatSaysNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(dir, inward))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if conn, err := dialGate(ctx, dir, "web:8080"); conn != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", conn, err)
	}
}
