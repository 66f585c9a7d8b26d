// Guestbook keeps the entries of a guestbook in PostgreSQL and serves them as
// a JSON API.
//
//	guestbook [serve]   serve the API; the database must be migrated
//	guestbook migrate   bring the database to the schema of this version
//	guestbook version   print the version
//
// It is configured by two environment variables: DATABASE_URL, which is
// required and never logged, for it holds a password, and PORT (default 8080).
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// version is set by the build: -ldflags "-X main.version=1.0.0".
var version = "dev"

const (
	// connectTimeout bounds the first contact with the database.
	connectTimeout = 10 * time.Second
	// shutdownTimeout is how long requests may take to end after SIGTERM.
	// Kubernetes kills a container after 30 seconds.
	shutdownTimeout = 20 * time.Second
)

func main() {
	log.SetFlags(0) // whoever collects the log adds the time
	log.SetPrefix("guestbook: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		log.Fatal(oneLine(err))
	}
}

func run(ctx context.Context, args []string) error {
	command := "serve"
	if len(args) > 0 {
		command = args[0]
	}
	if len(args) > 1 {
		return fmt.Errorf("%s takes no arguments", command)
	}
	switch command {
	case "serve":
		return runServe(ctx)
	case "migrate":
		return runMigrate(ctx)
	case "version":
		fmt.Println(version)
		return nil
	}
	return fmt.Errorf("unknown command %q: use serve, migrate or version", command)
}

func runServe(ctx context.Context) error {
	migrations, err := loadMigrations(migrationFiles)
	if err != nil {
		return err
	}
	config, err := databaseConfig()
	if err != nil {
		return err
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer pool.Close()

	store := &store{pool: pool, wantSchema: len(migrations)}
	if err := store.checkStart(ctx); err != nil {
		return err
	}
	return listenAndServe(ctx, newAPI(store))
}

func runMigrate(ctx context.Context) error {
	migrations, err := loadMigrations(migrationFiles)
	if err != nil {
		return err
	}
	config, err := databaseConfig()
	if err != nil {
		return err
	}
	conn, err := connect(ctx, config.ConnConfig)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))

	applied, err := migrate(ctx, conn, migrations)
	if err != nil {
		return err
	}
	for _, m := range applied {
		log.Printf("applied %s", m.name)
	}
	log.Printf("the database is at schema version %d", len(migrations))
	return nil
}

// databaseConfig reads DATABASE_URL. What is wrong with it is not said, since
// the parser's message may quote any part of it, and one part is a password.
func databaseConfig() (*pgxpool.Config, error) {
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		return nil, errors.New("DATABASE_URL is not set: it says where PostgreSQL is, postgres://user:password@host/database")
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("DATABASE_URL is not a PostgreSQL URL: expected postgres://user:password@host/database")
	}
	return config, nil
}

func connect(ctx context.Context, config *pgx.ConnConfig) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	return conn, nil
}

// listenAndServe serves until ctx ends, then lets the requests under way end.
func listenAndServe(ctx context.Context, handler http.Handler) error {
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	log.Printf("version %s listening on %s", version, listener.Addr())

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
	return server.Shutdown(ctx)
}

// oneLine folds the lines of err into one, so that one failure is one line of
// the log. The driver writes a line for each address that it tried.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}
