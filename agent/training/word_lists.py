"""Lists of words for made-up pages: what interfaces say in Latin-script languages, names, things, places."""

from typing import Final

ACTIONS: Final = tuple(
    """
    add apply approve archive assign attach back block book browse buy call cancel change check choose clear close
    collect compare confirm connect continue copy create cut delete deny deploy detach dismiss download draw edit
    enable enter erase expand export extend fetch file filter find finish fix fold follow forward freeze get give grant
    group hide hire import include insert install invite join jump keep label launch leave like link listen load lock
    log mark measure merge message move mute name next note notify open order pack paste pause pay pick pin place plan
    play post preview previous print proceed publish pull push quit rate read record redo refresh refuse register
    reject release remind remove rename rent repeat replace reply report request reserve reset resize resolve restart
    restore retry return review rotate run save scan schedule search select sell send share show sign skip sort split
    start stop store submit subscribe swap sync tag test track train transfer translate try turn undo unlock update
    upgrade upload verify view vote watch withdraw write zoom
    """.split()  # noqa: SIM905 - a list of words is read more easily
)
"""What a button says in English."""

FIELDS: Final = tuple(
    """
    address age amount author birthday branch budget building captain category city code colour comment company
    contact country county coupon course currency date department description destination district driver duration
    email employer event family father fax floor forename function gender grade guest height home hotel income
    initials invoice job keyword language length lesson login material message middle mobile model mother motto name
    nationality nickname note number occupation office order organisation owner parcel password phone plate
    postcode price prefix product profession project province quantity question reason recipient reference region
    remark room salary school seat sender serial size state station street subject suffix suburb supplier surname task
    team telephone title topic town trade user username vehicle village voucher website weight width year
    """.split()  # noqa: SIM905
)
"""What a field asks for in English."""

THINGS: Final = tuple(
    """
    account advice agenda airport album alarm almond ankle apple apricot apron arrow article atlas autumn avocado
    backpack badge bagel bakery balance ball balloon bamboo banana bandage bank banner barley barrel basil basket
    battery beach beans bearing beetroot belt bench berries bicycle billing biscuit blanket blender blueprint board boat
    bolts book boots bottle bowl bracelet branch brass bread bridge broccoli broom brush bucket buckle bulb bundle
    button cabbage cabin cable cactus cake calendar camera camping candle canvas carbon card cargo carpet carrot
    case cashew castle catalogue ceiling celery cellar cement cereal chain chalk channel charger chart cheese
    cherry chest chicken chimney chisel chocolate cider cinnamon circle clamp classic clay clinic clock cloth
    clover coach coal coast coat cocoa coconut coin collar colony column comedy comet compass compost concert
    contract cookie copper coral corn corner cotton couch council cousin cradle crane crayon cream crew cricket crown
    cucumber cupboard currant curtain cushion cycle dairy dance danger dashboard data deck deer desert design
    desk dessert diary digest dinner dishes display doctor document dolphin donkey door dragon drawer dress drill
    drum duck dust eagle earth east editor elbow electric elephant engine envelope eraser estate evening exam
    exercise fabric factory falcon family farm fashion feather fence fennel ferry festival fever fiction fig finance
    finger fireplace fish flag flame flannel flask flavour fleet flight flour flower flute foam fog folder forecast
    forest forge fork fossil fountain fox frame freight fridge frost fruit fuel funnel furnace future galaxy gallery
    garage garden garlic garnet gasket gate gear general ginger glass globe glove glue goat goggles gold goose grain
    granite grape gravel gravy grill guitar gutter hall hammer harbour harvest hazelnut headset heater helmet herbs
    history hockey hollow hook horizon horse hospital hostel hotel hummus icicle index infant ink insect
    insurance invoice iris iron island ivory jacket jam jasmine jelly jewel journal journey juice jungle juniper kayak
    kernel kettle keyboard kidney kingdom kitchen kite kitten kiwi knife label ladder lagoon lamb land
    laptop laser laundry lavender lawn leaf leather ledger legal lemon lens lentils lesson letter lettuce library
    licence lighthouse lime linen lion liquid lizard lobby lobster locker logic logo lunch lychee machine magazine
    magnet mango manual marble margin market marmalade mask match meadow meal medal media medicine melon member
    memo memory menu metal meteor mill mineral mint mirror mission mixer monitor month moon morning moss motor
    mountain mouse movie museum mushroom music mustard napkin narrow nature nectar needle network news night noodles
    north notebook nursery nutmeg oak oats ocean office olive onion opera orange orchard organ outlet oven owl
    oyster package paddle page paint palace palm pancake panel paper paprika parade parcel park parsley partner pasta
    pastry path peach peanut pear pearl pedal pencil pepper perfume petrol photo piano pickle picnic pigeon
    pillow pilot pine pipe pistachio pizza plain planet plank plant plate platform plum pocket poem police policy pond
    pony pool poplar poppy port portrait potato powder prawn prison prize profile project pudding pump pumpkin puzzle
    quarry quartz queen quiche quilt quinoa rabbit radar radiator radio radish raft rail rain raisin ramp ranch
    raspberry receipt recipe record reef relay rent rescue resort rhubarb ribbon river road robot rocket roof
    rope rose rubber ruby ruler saddle safety sail salad salmon salt sand sandal sandwich satin sauce sauna
    scarf science scissors scooter screen season secret service sesame shampoo shed shelf shell shelter ship shirt
    shoes shore shovel shower silk silver singer skate sketch ski skirt sky slate sledge sleeve slipper smoke snack
    snow soap soccer socks soda sofa soil solar soup south spade spice spider sponge spoon sports spring
    square squash stable stadium stage stairs stamp star statue steam steel stone storm story stove straw strawberry
    street student studio sugar suitcase summary summer sunset support surgery swan sweater syrup table tablet tailor
    tank tape target tart tavern tea teapot team temple tennis tent terrace thermos thread thunder ticket tiger tile
    timber toast tofu tomato tools topaz torch tourist towel tower tractor traffic trail trailer tram travel tray
    treasure tree trousers truck trumpet tulip tuna tunnel turbine turkey turnip tutor umbrella uniform valley valve
    vanilla vehicle velvet video village vinegar vineyard violin voyage waffle wagon wallet walnut wardrobe
    warranty watch water wax weather weekend west whale wheat wheel whistle window winter wolf wood wool
    workshop world yacht yarn zebra zinc
    """.split()  # noqa: SIM905
)
"""Things that lists, tables and headings are about."""

QUALITIES: Final = tuple(
    """
    active advanced all annual automatic basic best big black blue bold bright broken brown busy calm cheap classic
    clean clear cold compact cool daily dark deep digital double dry early easy empty extra fair false famous fast
    favourite final fine first flat foreign free frequent fresh full general gentle global golden good great green grey
    half happy hard heavy hidden high hot huge inner joint junior large last late latest light little local lonely
    long loud low lucky main manual medium minor mixed modern monthly narrow native new nice noisy normal odd old open
    outer own paid pale partial personal pink plain pretty primary private proud public purple quick quiet random rare
    raw ready recent red regular related remote rich right rough round safe second senior shared sharp short silent
    simple single slim slow small smart soft solid special stable standard steep strong sweet tall temporary thick thin
    third tiny total true unread unusual upper urgent used usual violet warm weekly wet white whole wide wild yearly
    yellow young
    """.split()  # noqa: SIM905
)

FUNCTION: Final = tuple(
    """
    about after again also because before between but can each either every few for from has have here how into just
    less many may more most must never not often once only other our over please shall since some soon still such than
    that the their them then there these they this those through until very was were what when where which while who
    will with within without would yet you your is it in on of to at by as or if we no up so an be do
    """.split()  # noqa: SIM905
)
"""What holds sentences together."""

GERMAN: Final = tuple(
    """
    Abbrechen Abmelden Absenden Adresse Ändern Anfrage Anhang Anlage Anmelden Ansicht Anwenden Anzahl Archiv Aufgabe
    Auftrag Ausgabe Auswahl Bearbeiten Beginn Bericht Beruf Beschreibung Bestellen Bestellung Betrag Bezahlen Bild
    Birne Brot Brötchen Buchung Büro Datei Datum Drucken Eier Eingabe Einkauf Einladen Einstellungen Empfänger Ende
    Entfernen Ergebnis Fenster Fertig Filiale Firma Freigabe Früchte Gäste Gebühr Gemüse Gespräch Größe Gruppe Gurke
    Hafen Hilfe Hinweis Hinzufügen Hochladen Honig Käse Kaffee Karte Kennwort Kirsche Kommentar Konto Kosten Küche
    Kunde Land Leute Lieferung Liste Löschen Markt Menge Milch Möhre Monat Nachname Nachricht Neu Nudeln Nummer Nüsse
    Öffnen Ort Papier Pause Pfirsich Plätze Preis Prüfen Rechnung Reise Rückgabe Sache Schließen Schule Schlüssel
    Seite Senden Sommer Speichern Sprache Stadt Straße Suchen Tabelle Termin Titel Tür Übersicht Umschlag Verlauf
    Versand Vorlage Vorname Vorschau Wählen Währung Weiter Werkzeug Wetter Wiederholen Wohnung Zahlung Zeit Ziel
    Zimmer Zubehör Zucker Zurück Zustand Zwiebel
    """.split()  # noqa: SIM905
)

FRENCH: Final = tuple(
    """
    Accepter Accueil Achat Adresse Afficher Agenda Aide Ajouter Aller Annuler Appareil Appel Appliquer Avis Bateau
    Beurre Billet Boîte Bouton Bureau Café Carte Catégorie Chaise Chambre Changer Chercher Choisir Clé Client Code
    Colis Commande Commencer Compte Confirmer Contrat Copier Courriel Créer Cuisine Date Début Demande Départ Détails
    Devis Déverrouiller Durée Écran École Écrire Effacer Élève Enregistrer Ensemble Entrée Envoyer Équipe Été Étiquette
    Événement Facture Famille Favoris Fenêtre Fermer Fichier Fleur Forêt Fraise Fromage Fruits Gâteau Genre Groupe
    Hiver Hôtel Île Image Imprimer Inscription Jardin Jour Lait Langue Légumes Lettre Lien Lieu Liste Livre Livraison
    Maison Marché Matériel Mémoire Message Météo Mois Monnaie Montant Naissance Noix Nombre Nouveau Numéro Œufs Oignon
    Ouvrir Page Paiement Panier Paramètres Partager Pays Pêche Plage Plan Poire Pomme Prénom Prix Profil Quantité
    Quitter Recherche Réduire Référence Régler Rendez Répondre Réserver Retour Riz Santé Séance Semaine Signer Société
    Sortie Suivant Sujet Supprimer Tâche Téléphone Thé Titre Trier Usine Valider Vente Vérifier Ville Voir Voyage
    """.split()  # noqa: SIM905
)

SPANISH: Final = tuple(
    """
    Abrir Aceite Aceptar Actualizar Agregar Agua Ajustes Alquiler Añadir Anterior Aplicar Apellido Archivo Arroz Asunto
    Atrás Ayuda Azúcar Baño Barco Borrar Botón Buscar Buzón Cambiar Campo Cancelar Cantidad Carne Carrera Carta Casa
    Cebolla Cerrar Cesta Cita Ciudad Clave Cliente Cocina Código Comenzar Compañía Compartir Comprar Confirmar
    Contraseña Copiar Correo Crear Cuenta Cuota Dejar Descargar Destino Día Dinero Dirección Diseño Duración Editar
    Elegir Eliminar Empezar Enlace Entrar Enviar Equipo Escuela España Estación Fecha Fiesta Filtro Firma Flores Foto
    Fresa Fruta Gasto Gracias Grupo Guardar Habitación Hijo Hogar Hoja Huevos Idioma Imagen Imprimir Inicio Invierno
    Jabón Jardín Jueves Leche Leer Letra Libro Limón Lista Llamada Llave Lugar Luz Maleta Mañana Manzana Mensaje Mercado
    Mesa Miel Montaña Niño Nivel Nombre Nota Noticias Nuevo Número Nube Ocultar Orden País Pago Pan Pantalla Papel
    Pasaje Pedido Película Perfil Piña Plátano Precio Pregunta Proyecto Puerta Queso Recibo Regalo Reloj Reserva
    Respuesta Reunión Ropa Sábado Salir Sección Seguir Señal Siguiente Silla Sueño Tamaño Tarea Teléfono Tienda Título
    Trabajo Último Usuario Venta Ver Viaje Zapatos Zona
    """.split()  # noqa: SIM905
)

TURKISH: Final = tuple(
    """
    Aç Açıklama Adres Ağaç Alıcı Altın Araç Arama Arkadaş Armut Ay Ayarlar Bağlantı Balık Başla Başlık Belge Beyaz
    Bilet Bitir Boyut Bölge Bugün Cadde Çalış Çanta Çay Çıkış Çilek Dakika Değiştir Deniz Devam Dil Doğum Dosya Durum
    Düğme Düzenle Ekle Ekmek Ekran Elma Eposta Etiket Evet Fatura Fındık Fiyat Fotoğraf Geç Geri Giriş Gizle Gönder
    Görev Gösterge Grup Güncelle Gün Güneş Hafta Hakkında Haber Havuç Hayır Hesap Hizmet İade İleri İlk İlçe İndir
    İptal İsim İşlem Kapat Karpuz Kart Katıl Kaydet Kayıt Kıyı Kırmızı Kişi Kitap Konu Kopyala Köprü Köy Kullanıcı
    Kuş Kutu Liste Masa Mavi Merhaba Mesaj Meyve Miktar Mutfak Müşteri Müzik Numara Oda Okul Onayla Orman Öde Öğrenci
    Ödeme Öneri Örnek Özet Parola Paylaş Peynir Proje Pazar Randevu Renk Resim Sağlık Sandalye Sat
    Satın Sebze Seç Seçenek
    Sepet Sıra Sil Sipariş Soğan Son Soru Soyadı Süre Süt Şehir Şeker Şifre Şimdi Şirket Tarih Tamam Tatil Telefon
    Toplantı Tutar Türkçe Ülke Üye Ürün Vazgeç Yağmur Yaz Yazdır Yeni Yer Yıl Yıldız Yol Yorum Yumurta
    Yükle Zaman Zeytin
    """.split()  # noqa: SIM905
)

POLISH: Final = tuple(
    """
    Adres Anuluj Aplikacja Bagaż Bilet Biuro Błąd Burak Chleb Cena Ciasto Córka Cukier Czas Część Czytaj Dalej Dane
    Data Dodaj Dom Dostawa Drzewo Drukuj Działanie Dzień Dziękuję Edytuj Faktura Filtr Firma Gość Godzina Góra Grupa
    Gruszka Hasło Herbata Imię Informacja Jabłko Jajka Język Kalendarz Karta Kategoria Klient Klucz Kolej Kolor
    Komentarz Koniec Konto Kopiuj Koszyk Kraj Książka Kuchnia Kup Kwiat Kwota Las Lista Liczba Łąka Łódź Masło Miasto
    Miejsce Miesiąc Mięso Mleko Morze Nagłówek Napisz Nazwa Nazwisko Notatka Nowy Numer Obraz Odbiorca Odpowiedź
    Odśwież Okno Opis Opłata Orzech Osoba Otwórz Owoce Pieniądze Pies Plik Płatność Pobierz Pociąg Podróż Pogoda Pokaż
    Pokój Pomoc Potwierdź Powrót Pracownik Prześlij Przycisk Przykład Pytanie Rachunek Rodzina Rozmiar Róża Ryż Ser
    Sklep Słońce Słowo Sprawdź Spotkanie Stół Strona Styczeń Szkoła Szukaj Śnieg Środa Świat Telefon Treść Tytuł Uczeń
    Ulica Usługa Usuń Ustawienia Użytkownik Warzywa Wersja Wiadomość Widok Wiersz Wybierz Wyjście Wyślij Zadanie Zakupy
    Zamknij Zapisz Zdjęcie Zegar Zmień Znajdź Zwrot Źródło Żółty Życie
    """.split()  # noqa: SIM905
)

OTHERS: Final = tuple(
    """
    Aggiungi Annulla Cerca Città Cognome Conferma Elimina Esci Fattura Formaggio Giorno Indirizzo Invia Latte Libertà
    Modifica Nome Ordine Pagamento Perché Prezzo Più Qualità Ricerca Salva Scegli Settimana Società Spedizione Stanza
    Uova Università Verità Vuoto Abacaxi Adicionar Ação Avançar Botão Buscar Caminhão Cancelar Coração Edição Enviar
    Endereço Excluir Feijão Imprimir Informação Lição Maçã Manhã Mês Não Opção Pão Preço Próximo Região Salvar Senha
    Seção Telefone Usuário Verão Aanmelden Annuleren Bestellen Betalen Bewaren Boodschap Brood Eieren Fiets Gebruiker
    Groente Huis Instellingen Kaas Keuken Klant Maandag Melk Naam Openen Opslaan Plaats Rekening Ruimte Sluiten Straat
    Toevoegen Verwijderen Volgende Wachtwoord Winkel Zoeken Avsluta Avbryt Bröd Bästa Dörr Efternamn Fråga Förnamn
    Företag Gå Hjälp Kött Kök Lägg Läs Lösenord Mejl Mjölk Nästa Nyckel Ost Räkning Sök Spara Språk Stäng Stad Större
    Tjänst Välj Ägg Äpple Öppna Bær Brød Døgn Fløte Følg Gjør Hjem Højde Ingår Kjøp Kød Køb Lås Måned Søg Søndag Vælg
    Číslo Děti Duben Heslo Hledat Jméno Košík Kůň Město Mléko Nabídka Odeslat Otevřít Platba Přidat Příjmení Říjen
    Smazat Stůl Středa Uložit Účet Úterý Vítejte Výběr Zavřít Země Žádost Ár Bezár Cím Elküld Felhasználó Függő Győr
    Hétfő Írás Jelszó Kenyér Keresés Könyv Küldés Mégse Mentés Név Nyomtatás Összeg Oldal Rendelés Sajt Szám Szűrő
    Törlés Új Utca Város Vásárlás Vissza Adaugă Căutare Înapoi Mâine Pâine Preț Șterge Știri Trimite Țară Ajouté
    Dodati Izbriši Ključ Lozinka Mjesto Naslov Odustani Pošalji Račun Spremi Šifra Traži Uređaj Vrijeme Životinja
    Aadress Jätka Kõik Lisa Päev Sõnum Tühista Üles Hae Jälkeen Käyttäjä Lähetä Maito Määrä Näytä Päivä Sähköposti
    Tallenna Töissä Työ Viesti Ystävä
    """.split()  # noqa: SIM905
)
"""Italian, Portuguese, Dutch, Swedish, Danish, Norwegian, Czech, Hungarian, Romanian, Croatian, Estonian, Finnish."""

FORENAMES: Final = tuple(
    """
    Aaron Ada Adèle Adrian Agnes Aisha Alan Alba Albert Alejandra Alena Alexander Alice Alma Amélie Amir Ana Anders
    Andrea Ángel Anita Anja Anke Anna Anton Arda Arne Arthur Astrid Ayşe Beatriz Ben Berta Björn Blanka Boris Bruno
    Burak Carla Carmen Cecilia Chiara Chloé Clara Claude Connor Cornelia Dagmar Daniel Daria David Deniz Diego Dora
    Dorota Edith Edward Elena Elif Elisa Emil Emma Enzo Erik Esra Esther Eva Fatma Felix Fernando Filip Fiona Florian
    Francesca Frank Frida Gabriel Georg Gerda Gianni Grace Greta Günter Gustav Hanna Hannes Hans Harriet Heidi Helen
    Henrik Hugo Ida Ignacio Ilse Imre Inés Inga Irene Isabel Ivan Jakub Jana Jean Jens Jiří Joan João Johanna Jonas
    José Josefine Jörg Judith Julia Jürgen Karel Karin Kasia Katharina Kemal Kevin Klaus Kurt Lars Laura Lea Leila Lena
    Leo Léon Lidia Lily Linda Lotte Louis Łukasz Luca Lucía Ludwig Luis Magda Maja Marco Margit María Marta Martin
    Mateo Matthias Maud Max Mehmet Mia Michael Miguel Mila Miriam Monika Nadia Naomi Natalia Nele Nico Nina Noah Nora
    Olga Oliver Olivia Oskar Otto Pablo Paola Patrick Paul Paula Pedro Petra Philip Pia Pierre Rafael Rahel Ralf Ramón
    Rebecca Renée Rita Robert Roland Romy Rosa Ruben Ruth Sabine Samuel Sandra Sara Selma Sergio Simon Sofia Sören
    Stefan Susanne Svenja Tamara Tanja Teresa Theo Thomas Tilda Tobias Tom Tomasz Ulrich Ursula Valeria Vera Victor
    Viktoria Vincent Walter Wanda Wiebke Wilma Xaver Yannick Yasmin Yusuf Yvonne Zara Zoe Zofia
    """.split()  # noqa: SIM905
)

SURNAMES: Final = tuple(
    """
    Acosta Adams Albrecht Almeida Andersson Aydın Bauer Becker Bennett Berger Bianchi Blanc Bosch Brandt Brooks Brown
    Castro Clark Collins Conti Costa Cruz Demir Díaz Dietrich Dubois Dupont Ekström Evans Fernández Ferrari Fischer
    Foster Fournier Fuchs Garcia Girard Gómez Graf Gray Greco Haas Hansen Hart Hartmann Hill Hoffmann Holm Horvath
    Hughes Ibáñez Jansen Jensen Johnson Kaya Keller Kelly Klein Koch Köhler Kowalski Kraus Krüger Lambert Lang Larsen
    Lefèvre Lehmann Leroy Lewis Lindberg López Lorenz Lund Maier Martin Martínez Mason Mayer Meyer Miller Molina Moreau
    Moreno Morgan Moser Müller Murphy Nagy Navarro Neumann Nielsen Novák Nowak Olsen Öztürk Parker Pavlov Pereira
    Peters Petit Pfeiffer Pohl Popescu Ramos Ricci Richter Rivera Romano Rossi Roth Ruiz Russo Santos Sauer Schäfer
    Schmidt Schneider Scholz Schubert Schulz Schwarz Scott Seidel Silva Simon Smith Sokolov Sommer Stein Stewart Suárez
    Svensson Szabó Taylor Tóth Turner Vargas Vega Vogel Wagner Walker Ward Weber Weiß Werner Wilson Winkler Wolf Wood
    Wright Wójcik Yılmaz Young Zieliński Zimmermann
    """.split()  # noqa: SIM905
)

CITIES: Final = tuple(
    """
    Aachen Aarhus Amsterdam Ankara Antwerp Athens Augsburg Avignon Barcelona Basel Bath Belgrade Bergen Berlin Bern
    Bilbao Bologna Bonn Bordeaux Boston Bremen Brest Brno Bruges Brussels Budapest Cádiz Calais Cardiff Chester Chicago
    Coimbra Cologne Copenhagen Córdoba Cork Dallas Delft Denver Detroit Dijon Dover Dresden Dublin Dundee Düsseldorf
    Edinburgh Erfurt Espoo Essen Évora Faro Florence Frankfurt Freiburg Gdańsk Geneva Genoa Ghent Glasgow Göteborg
    Granada Graz Grenoble Haarlem Hamburg Hanover Helsinki Houston Innsbruck Istanbul İzmir Jena Kassel Katowice Kiel
    Konya Kraków Lausanne Leeds Leiden Leipzig Lille Linz Lisbon Liverpool Ljubljana Łódź London Lübeck Lucerne Lugano
    Lyon Madrid Mainz Málaga Malmö Manchester Mannheim Marseille Memphis Metz Miami Milan Monaco Montreal Munich Münster
    Nantes Naples Newport Nice Nîmes Odense Oslo Ostrava Oviedo Oxford Padua Palermo Paris Parma Perth Pisa Plzeň Porto
    Potsdam Poznań Prague Quebec Reims Rennes Riga Rome Rostock Rotterdam Rouen Salamanca Salzburg Seattle Segovia
    Seville Siena Sofia Split Stockholm Strasbourg Stuttgart Szeged Tallinn Tampere Toledo Toronto Toulouse Trieste
    Trondheim Turin Turku Ulm Utrecht Valencia Venice Verona Vienna Vilnius Warsaw Weimar Wrocław York Zagreb Zürich
    """.split()  # noqa: SIM905
)

MONTHS: Final = tuple(
    tuple(months.split())
    for months in (
        "January February March April May June July August September October November December",
        "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
        "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "Ocak Şubat Mart Nisan Mayıs Haziran Temmuz Ağustos Eylül Ekim Kasım Aralık",
        "styczeń luty marzec kwiecień maj czerwiec lipiec sierpień wrzesień październik listopad grudzień",
        "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
        "januari februari maart april mei juni juli augustus september oktober november december",
    )
)
"""Twelve names a language."""

WEEKDAYS: Final = tuple(
    tuple(days.split())
    for days in (
        "Mo Tu We Th Fr Sa Su",
        "Mo Di Mi Do Fr Sa So",
        "lu ma me je ve sa di",
        "Lu Ma Mi Ju Vi Sá Do",
        "Pt Sa Ça Pe Cu Ct Pz",
        "Pn Wt Śr Cz Pt So Nd",
    )
)

LANGUAGES: Final = {
    "de": GERMAN,
    "fr": FRENCH,
    "es": SPANISH,
    "tr": TURKISH,
    "pl": POLISH,
    "xx": OTHERS,
}
"""Words of the other languages; ``xx`` is a mixture."""
