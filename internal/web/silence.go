package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// mostSilences is how often a request is sent if no answer comes.
	mostSilences = 2
	// longestBeginning is the timeout for the beginning of an answer: all of a manifest.
	longestBeginning = 2 * time.Minute
	// longestPause is the timeout for each further read.
	longestPause = time.Minute
)

// silenceError means that a server did not answer in time.
type silenceError struct {
	host string
	long time.Duration
}

func (e *silenceError) Error() string {
	return fmt.Sprintf("%s does not send a complete answer within %s", e.host, e.long)
}

// Timeout makes it a net.Error.
func (e *silenceError) Timeout() bool   { return true }
func (e *silenceError) Temporary() bool { return true }

// isSilence reports whether a host does not answer. It returns false if the body of the request
// comes from a host that does not answer.
func isSilence(err error, host string) bool {
	var silence *silenceError
	if errors.As(err, &silence) {
		return silence.host == host
	}
	var network net.Error
	return errors.As(err, &network) && network.Timeout() && !errors.As(err, new(*bodyError)) && !errors.Is(err, context.DeadlineExceeded)
}

// hearing cancels a request whose answer takes too long.
type hearing struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	host   string
	timer  *time.Timer
	pause  time.Duration // timeout of each read of the body; 0 while within limits all of it
}

func listen(request *http.Request) *hearing {
	h := &hearing{host: request.URL.Host}
	h.ctx, h.cancel = context.WithCancelCause(request.Context())
	return h
}

// within stops the former timer, and starts one that cancels the request; 0 starts none.
func (h *hearing) within(long time.Duration) {
	if h.timer != nil {
		h.timer.Stop()
	}
	if long > 0 {
		h.timer = time.AfterFunc(long, func() { h.cancel(&silenceError{h.host, long}) })
	}
}

// end stops listening. If a timeout caused err, it returns the timeout.
func (h *hearing) end(err error) error {
	h.within(0)
	h.cancel(nil)
	if silence := (*silenceError)(nil); errors.As(context.Cause(h.ctx), &silence) {
		return silence
	}
	return err
}

// body limits the reads of the rest of an answer.
func (h *hearing) body(response *http.Response) {
	response.Body = &heardBody{response.Body, h}
}

type heardBody struct {
	io.ReadCloser
	heard *hearing
}

func (b *heardBody) Read(into []byte) (int, error) {
	if b.heard.pause > 0 {
		b.heard.within(b.heard.pause)
		defer b.heard.within(0)
	}
	n, err := b.ReadCloser.Read(into)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.heard.end(err)
	}
	return n, err
}

func (b *heardBody) Close() error {
	err := b.ReadCloser.Close()
	_ = b.heard.end(nil)
	return err
}
