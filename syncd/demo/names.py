"""Our own name lists for the sample district: plausible for a Texas charter network, nobody's in particular.

Weights are left out on purpose: a list that holds a name twice would be the only statistics here, and the district
needs collisions (two José García) planted where tests can name them, not by chance alone.
"""

from __future__ import annotations


def words(text: str) -> tuple[str, ...]:
    """The words of the text, in order."""
    return tuple(text.split())


GIRLS = words(
    """
    Abigail Adriana Alejandra Alexa Alondra Amara Amelia Andrea Angelica Aniyah Ariana Aubrey Ava Bianca Brianna
    Brooklyn Camila Carolina Cecilia Chloe Clara Daniela Destiny Diana Elena Elizabeth Emily Emma Esmeralda Esther
    Evelyn Faith Fatima Fernanda Gabriela Genesis Gloria Grace Guadalupe Hailey Hannah Harper Imani Irene Isabel
    Isabella Itzel Jada Jasmine Jazmin Jimena Josefina Julia Karla Kaylee Kennedy Keisha Kimberly Laura Layla Leah
    Leticia Lillian Linda Lucia Luz Madison Maribel Mariana Marisol Melissa Mia Michelle Monica Naomi Natalia Nevaeh
    Nicole Olivia Paola Patricia Pilar Priya Rebecca Regina Renata Rosa Ruby Ruth Samantha Sandra Sara Savannah
    Selena Serenity Sofia Stephanie Sylvia Tatiana Tiana Valentina Valeria Vanessa Veronica Victoria Violeta Ximena
    Yesenia Yolanda Zoe
    """
)

BOYS = words(
    """
    Aaron Abel Adrian Alan Alberto Alejandro Alexander Alfredo Andre Andres Angel Anthony Antonio Armando Arturo
    Austin Benjamin Brandon Brayden Bruno Caleb Carlos Cesar Christian Cody Cristian Damian Dante Darius David
    Deandre Diego Dominic Dylan Eduardo Elijah Emiliano Emmanuel Enrique Eric Ernesto Ethan Felipe Fernando
    Francisco Gael Gerardo Gilberto Gustavo Hector Henry Hugo Hunter Ian Isaac Isaiah Ismael Israel Ivan Jackson
    Jacob Jaime Jamal Javier Jayden Jerome Jesus Joel Jonah Jonathan Jorge Joshua Julian Kevin Landon Leonardo Levi
    Logan Lorenzo Luke Malik Manuel Marco Mario Marquis Mateo Mauricio Miguel Nathan Nicolas Noah Octavio Omar Oscar
    Pablo Pedro Rafael Ramiro Raul Ricardo Roberto Rodrigo Ruben Salvador Samuel Santiago Saul Sergio Terrence Tomas
    Trevon Tyler Victor Wyatt Xavier Zachary
    """
)

FAMILIES = words(
    """
    Acosta Adams Aguilar Alvarado Alvarez Anderson Arredondo Avila Bailey Baker Barrera Bell Benavides Bennett
    Blanco Brooks Brown Bryant Cabrera Calderon Campos Cantu Cardenas Carrillo Carter Castaneda Castillo Castro
    Cavazos Cervantes Chapa Chavez Coleman Contreras Cook Cooper Cordova Cortez Cruz Davila Davis Delgado Diaz
    Dominguez Duran Edwards Elizondo Escobedo Espinoza Estrada Evans Farias Fernandez Figueroa Flores Foster
    Franklin Fuentes Galindo Gallegos Galvan Gamez Garcia Garza Gomez Gonzales Gonzalez Gray Green Griffin Guajardo
    Guerra Guerrero Gutierrez Guzman Hall Harris Hayes Henderson Hernandez Herrera Hill Hinojosa Howard Huerta
    Hughes Ibarra Jackson James Jenkins Jimenez Johnson Jones Juarez Kelly King Lara Leal Lee Leon Lewis Longoria
    Lopez Lozano Lucio Luna Macias Maldonado Marroquin Martin Martinez Medina Mejia Mendez Mendoza Mitchell Molina
    Montemayor Montoya Moore Morales Moreno Morgan Morin Munoz Murphy Navarro Nelson Nguyen Nunez Ochoa Olivares
    Orozco Ortega Ortiz Pacheco Padilla Palacios Parker Patel Patterson Pena Perez Perry Peterson Phillips Pham
    Ponce Powell Price Quintanilla Quiroga Ramirez Ramos Rangel Reed Reyes Reyna Richardson Rios Rivera Roberts
    Robinson Robles Rodriguez Rogers Rojas Romero Rosales Ross Ruiz Russell Salazar Salinas Sanchez Sanders Sandoval
    Santos Saenz Serna Serrano Sierra Silva Simmons Smith Solis Soto Stewart Suarez Tamez Taylor Thomas Thompson
    Torres Tran Trevino Trujillo Turner Valadez Valdez Valencia Vargas Vasquez Vega Velasquez Velez Villarreal
    Walker Ward Washington Watson White Williams Wilson Wood Wright Yanez Young Zamora Zapata Zavala Zuniga
    """
)

MIDDLES = words(
    """
    Ann Belle Cruz Dean Edgar Faye Gene Hope Isidro Jo Kay Lee Mae Nell Omar Paz Ray Sol Tyrone Vidal
    """
)

CAMPUSES = (
    "Brazos Bend Academy",
    "Llano Vista School",
    "Mesquite Ridge Academy",
    "Pecan Grove School",
    "San Gabriel Prep",
    "Bluebonnet Collegiate",
    "Live Oak Academy",
    "Nueces Bay School",
    "Palo Duro Prep",
    "Cedar Hollow Academy",
    "Rio Frio School",
    "Juniper Hills Collegiate",
)

SUBJECTS = ("Reading", "Mathematics", "Science", "Social Studies", "Art", "Music", "Physical Education")
SECONDARY_SUBJECTS = ("English", "Algebra", "Biology", "Texas History", "Spanish", "Band", "Athletics")

EXIT_REASONS = ("81 enrolled elsewhere in Texas", "82 enrolled outside Texas", "60 home schooling", "98 other")
