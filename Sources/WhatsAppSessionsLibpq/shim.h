#if __has_include(<postgresql/libpq-fe.h>)
#include <postgresql/libpq-fe.h>
#else
#include <libpq-fe.h>
#endif

#ifndef LIBPQ_HAS_PIPELINING
#error "whatsapp-sessions needs libpq 14 or newer: install a newer libpq-dev."
#endif

// Macros of postgres_ext.h that are characters, which Swift imports as integers of another size than libpq takes.
enum {
    WHATSAPP_SESSIONS_SQLSTATE = PG_DIAG_SQLSTATE,
    WHATSAPP_SESSIONS_MESSAGE = PG_DIAG_MESSAGE_PRIMARY,
    WHATSAPP_SESSIONS_SEVERITY = PG_DIAG_SEVERITY_NONLOCALIZED,
};
