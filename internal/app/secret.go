package app

import "dsiem/internal/access"

// NewToken returns a new random token and what of it stands in the file of
// HTTPOptions.AuthFile: its SHA-256 in hexadecimal digits.
func NewToken() (token, sha256hex string) { return access.NewToken() }

// HashPassword returns what of a password stands in the file of
// HTTPOptions.AuthFile: a slow, salted hash. It fails if the password is empty
// or longer than 1024 bytes.
func HashPassword(password string) (string, error) { return access.HashPassword(password) }
