package provider

import (
	"context"
	_ "embed"
	"html/template"
	"net/http"
	"strings"
)

//go:embed login.html
var loginText string

var loginPage = template.Must(template.New("login").Parse(loginText))

// policy lets nothing but the page's own style run, and nobody put it into a frame.
const policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"

// login asks for the name and the password.
type login struct {
	*storage
	next func(ctx context.Context, id string) string
}

// page is what the page says.
type page struct {
	Options
	User, ID, Name, Error string
	LoggedOut             bool
}

func (l *login) write(w http.ResponseWriter, status int, p page) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", policy)
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	p.Options, p.User = l.Options, User
	w.WriteHeader(status)
	_ = loginPage.Execute(w, p)
}

func (l *login) show(w http.ResponseWriter, request *http.Request) {
	id := request.URL.Query().Get("id")
	if _, err := l.AuthRequestByID(request.Context(), id); err != nil {
		l.write(w, http.StatusNotFound, page{Error: sentence(err)})
		return
	}
	l.write(w, http.StatusOK, page{ID: id})
}

// check sends who knows the password back to the app.
func (l *login) check(w http.ResponseWriter, request *http.Request) {
	request.Body = http.MaxBytesReader(w, request.Body, 64<<10)
	id, name := request.PostFormValue("id"), strings.TrimSpace(request.PostFormValue("name"))
	if name != User && name != Email || !same(request.PostFormValue("password"), l.Password) {
		l.write(w, http.StatusUnauthorized, page{ID: id, Name: name, Error: "The name or the password is wrong."})
		return
	}
	if err := l.logIn(id); err != nil {
		l.write(w, http.StatusNotFound, page{Error: sentence(err)})
		return
	}
	http.Redirect(w, request, l.next(request.Context(), id), http.StatusSeeOther)
}

func (l *login) loggedOut(w http.ResponseWriter, _ *http.Request) {
	l.write(w, http.StatusOK, page{LoggedOut: true})
}

// sentence is an error as a sentence of a page.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
