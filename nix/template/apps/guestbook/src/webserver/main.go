// Webserver serves a static site, and passes /api/ on to a backend.
//
// It is configured by environment variables:
//
//	SITE         the folder to serve (default /site)
//	PORT         where to listen (default 8080)
//	BACKEND_URL  where requests for /api/… go, such as http://backend:8080;
//	             without it there is no /api/
//
// GET /healthz answers 200 while the process is up.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// shutdownTimeout is how long requests may take to end after SIGTERM.
// Kubernetes kills a container after 30 seconds.
const shutdownTimeout = 20 * time.Second

func main() {
	log.SetFlags(0) // whoever collects the log adds the time
	log.SetPrefix("webserver: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	site, err := loadSite(env("SITE", "/site"))
	if err != nil {
		return err
	}
	backend, err := backendURL(os.Getenv("BACKEND_URL"))
	if err != nil {
		return err
	}
	return listenAndServe(ctx, newHandler(site, backend))
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

// backendURL returns nil for "". An error does not repeat the value, which may
// hold a password.
func backendURL(value string) (*url.URL, error) {
	if value == "" {
		return nil, nil
	}
	u, err := url.Parse(value)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, errors.New("BACKEND_URL is not a URL such as http://backend:8080")
	}
	return u, nil
}

// newHandler returns the handler of all routes. backend may be nil.
func newHandler(site *site, backend *url.URL) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", site)
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "ok\n")
	})
	if backend != nil {
		mux.Handle("/api/", newProxy(backend))
	}
	return secure(mux)
}

// listenAndServe serves until ctx ends, then lets the requests under way end.
func listenAndServe(ctx context.Context, handler http.Handler) error {
	listener, err := net.Listen("tcp", ":"+env("PORT", "8080"))
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		IdleTimeout:       2 * time.Minute,
		// No WriteTimeout: it would cut a large file short on a slow line.
	}
	log.Printf("listening on %s", listener.Addr())

	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	log.Print("shutting down")
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		return fmt.Errorf("shutting down: %w", err)
	}
	return nil
}
