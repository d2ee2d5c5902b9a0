"""Everything the pages say, in one table: each line in English and in Spanish. Also which language somebody wants.

No page and no module holds a sentence of its own, so that a line cannot be missing in one language. What came over the wire as a
code is put into words here, too: `reason.CODE` for a password that was not taken, `demand.CODE` for what one must be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

Language = Literal["en", "es"]
Say = Callable[..., str]
"""Says one line of the table in the language of the page; what stands in braces in it is told by name."""

NAMES: Mapping[Language, str] = {"en": "English", "es": "Español"}
"""What each language calls itself."""

EXAMPLE = "01/05/2012"
"""A day as it is to be typed."""

_WORDS: Mapping[str, tuple[str, str]] = {
    # every page
    "skip": ("Skip to the content", "Ir al contenido"),
    "language": ("Language", "Idioma"),
    "error.title": ("Error: {title}", "Error: {title}"),
    "error.summary": ("This is not right yet", "Todavía hay algo que corregir"),
    "help": ("Need help?", "¿Necesita ayuda?"),
    "help.any": ("Ask at your school's office.", "Pregunte en la oficina de su escuela."),
    "next": ("Next", "Siguiente"),
    "start": ("Back to the start", "Volver al inicio"),
    "step": ("Step {n} of {of}", "Paso {n} de {of}"),
    # the start
    "start.title": ("Student accounts", "Cuentas de estudiantes"),
    "start.lead": (
        "Are you new here, or back again? Your account is ready. Make it yours and choose a password.",
        "¿Es nuevo aquí, o ha vuelto? Su cuenta está lista. Actívela y elija una contraseña.",
    ),
    "start.claim": ("Get my account", "Activar mi cuenta"),
    "start.minutes": ("It takes about three minutes.", "Toma unos tres minutos."),
    # who somebody is
    "claim.title": ("Get your account: who are you?", "Active su cuenta: ¿quién es usted?"),
    "claim.lead": (
        "Type what your school has on file. We compare it and never show it.",
        "Escriba lo que la escuela tiene registrado. Lo comparamos y nunca lo mostramos.",
    ),
    "claim.given": ("Legal first name", "Nombre legal"),
    "claim.given.hint": (
        "As it stands on your school papers, not a nickname.",
        "Como está en los papeles de la escuela, no un apodo.",
    ),
    "claim.family": ("Legal last name", "Apellido legal"),
    "claim.family.hint": ("If you have two last names, type one or both.", "Si tiene dos apellidos, escriba el primero o los dos."),
    "claim.birth_date": ("Date of birth", "Fecha de nacimiento"),
    "claim.birth_date.hint": (
        "Month, day and year with slashes: MM/DD/YYYY. For January 5, 2012 type 01/05/2012.",
        "Mes, día y año con barras: MM/DD/AAAA. Para el 5 de enero de 2012 escriba 01/05/2012.",
    ),
    "claim.ssn4": ("Last four digits of your Social Security number", "Últimos cuatro números de su Seguro Social"),
    "claim.s_number4": ("Last four digits of your Texas S-number", "Últimos cuatro números de su número S de Texas"),
    "claim.either4": (
        "Last four digits of your Social Security number or Texas S-number",
        "Últimos cuatro números de su Seguro Social o de su número S de Texas",
    ),
    "claim.last4.hint": (
        "Four digits. They are only compared, never kept by this page.",
        "Cuatro números. Solo se comparan; esta página no los guarda.",
    ),
    "claim.given.missing": ("Type your first name.", "Escriba su nombre."),
    "claim.family.missing": ("Type your last name.", "Escriba su apellido."),
    "claim.birth_date.mask": (
        "Type your date of birth as MM/DD/YYYY, with slashes, for example 01/05/2012.",
        "Escriba su fecha de nacimiento como MM/DD/AAAA, con barras, por ejemplo 01/05/2012.",
    ),
    "claim.birth_date.day": (
        "There is no such day. Month first, then day, then year: for example 01/05/2012.",
        "Ese día no existe. Primero el mes, luego el día y el año: por ejemplo 01/05/2012.",
    ),
    "claim.last4.mask": ("Type exactly four digits.", "Escriba exactamente cuatro números."),
    "claim.refused": (
        "This does not match what we have on file, or there is no account to claim. Check every line and try again.",
        "Esto no coincide con lo que tenemos registrado, o no hay una cuenta por activar. Revise cada línea e intente de nuevo.",
    ),
    "claim.refused.after": (
        "If you already have a password, you need not do this again. After several tries that do not match, you have to wait.",
        "Si ya tiene una contraseña, no necesita hacer esto otra vez. Tras varios intentos que no coinciden, tendrá que esperar.",
    ),
    "claim.locked.one": (
        "Too many tries. Wait one minute, then try again.",
        "Demasiados intentos. Espere un minuto e intente de nuevo.",
    ),
    "claim.locked": (
        "Too many tries. Wait {n} minutes, then try again.",
        "Demasiados intentos. Espere {n} minutos e intente de nuevo.",
    ),
    # the password
    "password.title": ("Choose your password", "Elija su contraseña"),
    "password.lead": (
        "We found you. Choose a password that nobody can guess. Four words that have nothing to do with you are good.",
        "Lo encontramos. Elija una contraseña que nadie pueda adivinar. Sirven cuatro palabras que no tengan que ver con usted.",
    ),
    "password.demands": ("Your password", "Su contraseña"),
    "password.field": ("Password", "Contraseña"),
    "password.again": ("The same password again", "La misma contraseña otra vez"),
    "password.show": ("Show the password", "Mostrar la contraseña"),
    "password.hide": ("Hide the password", "Ocultar la contraseña"),
    "password.save": ("Save my password", "Guardar mi contraseña"),
    "password.later": (
        "Your password could not be saved just now. Nothing is lost: wait a minute, then type it again.",
        "No se pudo guardar la contraseña en este momento. No se ha perdido nada: espere un minuto y escríbala de nuevo.",
    ),
    "demand.min_length": ("has {n} characters or more", "tiene {n} caracteres o más"),
    "demand.kinds": (
        "has {n} of these: capital letters, small letters, digits, other signs",
        "tiene {n} de estos: mayúsculas, minúsculas, números, otros signos",
    ),
    "demand.no_name": ("does not have your name in it", "no contiene su nombre"),
    "demand.no_birth_year": ("does not have your year of birth in it", "no contiene su año de nacimiento"),
    "demand.no_digits": ("does not have the four digits in it that you typed", "no contiene los cuatro números que escribió"),
    "demand.run": ("has no row of digits like 1234 or 9876", "no contiene números seguidos como 1234 o 9876"),
    "demand.guessable": ("is not easy to guess", "no es fácil de adivinar"),
    "reason.missing": ("Type a password.", "Escriba una contraseña."),
    "reason.mismatch": ("The two passwords are not the same.", "Las dos contraseñas no son iguales."),
    "reason.min_length": ("Use {n} characters or more.", "Use {n} caracteres o más."),
    "reason.max_length": ("Use {n} characters or fewer.", "Use {n} caracteres o menos."),
    "reason.characters": (
        "There is a sign in it that no keyboard has. Type it anew.",
        "Contiene un signo que no está en el teclado. Escríbala de nuevo.",
    ),
    "reason.kinds": (
        "Use {n} of these: capital letters, small letters, digits, other signs.",
        "Use {n} de estos: mayúsculas, minúsculas, números, otros signos.",
    ),
    "reason.no_name": ("Leave your own name out of it.", "No use su propio nombre."),
    "reason.no_birth_year": ("Leave your year of birth out of it.", "No use su año de nacimiento."),
    "reason.no_digits": ("Leave the four digits out of it that you typed before.", "No use los cuatro números que escribió antes."),
    "reason.run": ("Leave out rows of digits like 1234.", "No use números seguidos como 1234."),
    "reason.common": ("Many people use this password. Choose another.", "Muchas personas usan esta contraseña. Elija otra."),
    "reason.guessable": (
        "This is too easy to guess. Make it longer, or less usual.",
        "Es muy fácil de adivinar. Hágala más larga o menos común.",
    ),
    "reason.directory": (
        "The directory does not take this password. Choose another.",
        "El sistema no acepta esta contraseña. Elija otra.",
    ),
    # done
    "done.title": ("Your account is ready", "Su cuenta está lista"),
    "done.lead": ("Write down your username. You need it to sign in.", "Anote su nombre de usuario. Lo necesita para entrar."),
    "done.earlier": (
        "Your first try had worked: sign in with the password that you typed then.",
        "Su primer intento había funcionado: entre con la contraseña que escribió entonces.",
    ),
    "done.username": ("Username", "Nombre de usuario"),
    "done.mail": ("Mail address", "Correo electrónico"),
    "done.works": ("You can sign in now at", "Ya puede entrar en"),
    "done.later": ("Ready in some minutes", "Listo en unos minutos"),
    "done.finish": ("Finish", "Terminar"),
    "done.finish.hint": (
        "Is this not your own device? Finish before you go.",
        "¿No es su propio dispositivo? Termine antes de irse.",
    ),
    # what can go wrong with a page
    "wrong.400.title": ("This cannot be understood", "No se entiende esta solicitud"),
    "wrong.400": ("Begin again from the start.", "Empiece de nuevo desde el inicio."),
    "wrong.403.title": ("This page was open for too long", "La página estuvo abierta demasiado tiempo"),
    "wrong.403": (
        "Begin again from the start. Your browser must allow cookies for this site.",
        "Empiece de nuevo desde el inicio. Su navegador debe permitir cookies para este sitio.",
    ),
    "wrong.404.title": ("There is no such page", "Esta página no existe"),
    "wrong.404": ("Begin again from the start.", "Empiece de nuevo desde el inicio."),
    "wrong.410.title": ("Too much time has passed", "Ha pasado demasiado tiempo"),
    "wrong.410": ("For your safety you have to begin again.", "Por su seguridad tiene que empezar de nuevo."),
    "wrong.500.title": ("Something went wrong here", "Algo falló de nuestro lado"),
    "wrong.500": ("It is not your fault. Try again in some minutes.", "No es culpa suya. Intente de nuevo en unos minutos."),
    "wrong.503.title": ("This does not work just now", "Esto no funciona en este momento"),
    "wrong.503": (
        "Nothing is lost. Try again in some minutes.",
        "No se ha perdido nada. Intente de nuevo en unos minutos.",
    ),
}


def said(language: Language, key: str, /, **told: object) -> str:
    """One line of the table. Raises KeyError for one that is not there."""
    return _WORDS[key][0 if language == "en" else 1].format(**told)


def has(key: str) -> bool:
    """Whether the table has such a line."""
    return key in _WORDS


def counted(say: Say, key: str, number: int) -> str:
    """A line that tells a number, in its own words where that is one."""
    return say(f"{key}.one") if number == 1 and has(f"{key}.one") else say(key, n=number)


def coded(say: Say, kind: str, code: str, number: int) -> str:
    """What a code that the daemon told means; `reason.directory` for one that is newer than these pages."""
    return say(f"{kind}.{code}", n=number) if has(f"{kind}.{code}") else say("reason.directory")


def keys() -> Sequence[str]:
    """Every line there is."""
    return tuple(_WORDS)


def wanted(accept_language: str, offered: Sequence[Language]) -> Language:
    """The first of the languages offered that a browser likes best, as its Accept-Language says (RFC 9110, 12.5.4).

    What cannot be read says nothing; who wants none of them gets the first.
    """
    best, liked = offered[0], 0.0
    for part in accept_language[:200].split(","):
        tag, _, weight = part.strip().partition(";")
        quality = _quality(weight)
        for one in offered:
            if tag.strip().lower().split("-")[0] == one and quality > liked:
                best, liked = one, quality
    return best


def _quality(weight: str) -> float:
    if not weight.strip():
        return 1.0
    name, _, value = weight.strip().partition("=")
    try:
        told = float(value) if name.strip() == "q" else 0.0
    except ValueError:
        return 0.0
    return told if 0 <= told <= 1 else 0.0  # also false for NaN
