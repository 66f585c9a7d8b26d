package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/mail"
	"path/filepath"
	"strings"
	"time"

	"github.com/emersion/go-smtp"
)

// mostMail is the largest mail in bytes.
const mostMail = 10 << 20

// startMail starts a mail server that prints mails and delivers none.
func startMail(_ context.Context, o Options) (*Server, error) {
	name := o.Host + ".smtp"
	socket := filepath.Join(o.Sockets, name)
	if err := checkSocket(socket); err != nil {
		return nil, err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, err
	}
	s := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &session{to: o.Output}, nil }))
	s.Domain, s.MaxMessageBytes, s.MaxRecipients = "localhost", mostMail, 100
	s.ReadTimeout, s.WriteTimeout = time.Minute, time.Minute
	s.ErrorLog = discard{}
	go func() { _ = s.Serve(listener) }()
	return &Server{
		What: "part of libre; it prints mails and delivers none", Socket: name, Close: func() { s.Close() },
		Parts: map[string]string{
			"url": fmt.Sprintf("smtp://%s:%d", o.Host, o.Port), "host": o.Host, "port": fmt.Sprint(o.Port), "user": "", "password": "",
			"from": "noreply@example.org", "tls": "false", "startTls": "false",
		},
	}, nil
}

// discard keeps go-smtp's log of clients that hang up away from the terminal.
type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// session is a client's.
type session struct {
	to   io.Writer
	rcpt []string
}

func (s *session) Mail(string, *smtp.MailOptions) error { return nil }
func (s *session) Reset()                               { s.rcpt = nil }
func (s *session) Logout() error                        { return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.rcpt = append(s.rcpt, to)
	return nil
}

// Data prints a mail: to whom it is, its subject, and its text as it was sent.
func (s *session) Data(r io.Reader) error {
	message, err := mail.ReadMessage(r)
	if err != nil {
		return errors.Join(&smtp.SMTPError{Code: 554, Message: "not a message"}, err)
	}
	body, err := io.ReadAll(message.Body)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.to, "mail to %s: %s\n%s\n", strings.Join(s.rcpt, ", "), message.Header.Get("Subject"), strings.TrimRight(string(body), "\r\n"))
	return err
}
